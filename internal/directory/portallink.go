package directory

import (
	"context"
	"errors"
	"time"
)

// The objects of the portal, in errors and audit events.
const (
	PortalLinkObject    Object = "portal link"
	PortalSessionObject Object = "portal session"
)

// PortalLink opens the portal once, to whoever has its token, in the name of the service principal that made it.
type PortalLink struct {
	Token       string // only in the answer that makes it
	TenantID    string
	PrincipalID string
	AppID       string
	Name        string // of the service principal
	ExpiresAt   time.Time

	id string
}

const (
	// MaxPortalLinkLifetime is how long a link counts at most, and when nothing else is said.
	MaxPortalLinkLifetime = 10 * time.Minute

	minPortalLinkLifetime = time.Second
	maxPortalLinks        = 10
)

// MakePortalLink makes a link for the caller itself, which must be a service
// principal: who sits in the portal makes none for later. The lifetime is at
// most 10 minutes, which 0 stands for. A principal has at most 10 links that
// are open; one more is LimitReached.
func (d *Directory) MakePortalLink(ctx context.Context, c Caller, lifetime time.Duration) (PortalLink, error) {
	if c.Kind != PrincipalCaller {
		return PortalLink{}, &Error{Kind: Forbidden, Object: PortalLinkObject, Action: portalLinks("write").action, Scope: "/", Caller: c, Detail: "only a service principal makes links, with a token"}
	}
	if lifetime == 0 {
		lifetime = MaxPortalLinkLifetime
	}
	if lifetime < minPortalLinkLifetime || lifetime > MaxPortalLinkLifetime {
		return PortalLink{}, invalid(PortalLinkObject, "lifetime", "must be between 1 second and 10 minutes")
	}
	var l PortalLink
	err := d.change(ctx, c, func(a *act) error {
		l = PortalLink{Token: newSecretText(), TenantID: c.TenantID, PrincipalID: c.PrincipalID, ExpiresAt: a.at.Add(lifetime), id: newID()}
		p, err := a.lockCaller()
		if err != nil {
			return err
		}
		l.AppID, l.Name = p.AppID, p.DisplayName
		t := &target{object: PortalLinkObject, id: l.id, name: l.Name}
		t.note("expiresAt", l.ExpiresAt.Format(time.RFC3339))
		if err := a.permit(portalLinks("write"), t); err != nil {
			return err
		}
		open, err := count(a, a.tx, `SELECT count(*) FROM portal_links WHERE principal_id = $1 AND expires_at > $2`, l.PrincipalID, millis(a.at))
		if err != nil {
			return err
		}
		if open >= maxPortalLinks {
			return &Error{Kind: LimitReached, Object: PortalLinkObject, ID: l.Name, Limit: maxPortalLinks}
		}
		_, err = exec(a, a.tx, `INSERT INTO portal_links (id, digest, tenant_id, principal_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)`,
			l.id, hashSecret(l.Token), l.TenantID, l.PrincipalID, millis(a.at), millis(l.ExpiresAt))
		return err
	})
	if err != nil {
		return PortalLink{}, err
	}
	return l, nil
}

// lockCaller locks the row of the caller's service principal: its links are
// counted right, and nothing comes into being while it is disabled or deleted.
func (a *act) lockCaller() (p ServicePrincipal, err error) {
	gone := &Error{Kind: Unauthenticated, Object: PrincipalObject, ID: a.c.PrincipalID}
	return one(a, a.tx, gone, func(r row) (ServicePrincipal, error) {
		err := r.Scan(&p.AppID, &p.DisplayName)
		return p, err
	}, `UPDATE service_principals SET revision = revision + 1 WHERE id = $1 AND tenant_id = $2 AND enabled = 1 AND deleted_at = 0 RETURNING app_id, display_name`, a.c.PrincipalID, a.c.TenantID)
}

// portalLinks and portalSessions are what everybody may do with its own.
func portalLinks(verb string) need {
	return need{action: "Entente.Federation/portalLinks/" + verb, scope: "/", self: true}
}

func portalSessions(verb string) need {
	return need{action: "Entente.Federation/portalSessions/" + verb, scope: "/", self: true}
}

// PortalLink looks at a link and does not use it up. One that was never made,
// one that is used up or has expired, and one whose principal is gone or
// disabled are the same: NotFound.
func (d *Directory) PortalLink(ctx context.Context, token string) (PortalLink, error) {
	return one(ctx, d.DB.Read(), noPortalLink(), func(r row) (PortalLink, error) {
		var l PortalLink
		var expiresAt int64
		err := r.Scan(&l.id, &l.TenantID, &l.PrincipalID, &l.AppID, &l.Name, &expiresAt)
		l.ExpiresAt = fromMillis(expiresAt)
		return l, err
	}, `SELECT l.id, l.tenant_id, l.principal_id, p.app_id, p.display_name, l.expires_at FROM portal_links l JOIN service_principals p ON p.id = l.principal_id
		WHERE l.digest = $1 AND l.expires_at > $2 AND p.tenant_id = l.tenant_id AND p.enabled = 1 AND p.deleted_at = 0`, hashSecret(token), millis(d.now()))
}

// noPortalLink says nothing of the token, so that no log has it.
func noPortalLink() *Error { return notFound(PortalLinkObject, "") }

// RedeemPortalLink uses a link up and opens a session of its principal. Of from
// it reads Address and RequestID. A link opens one session, however many ask
// for it at once; the others, and who comes late, get NotFound as from PortalLink.
func (d *Directory) RedeemPortalLink(ctx context.Context, token string, from Caller) (PortalSession, error) {
	l, err := d.PortalLink(ctx, token)
	if err != nil {
		return PortalSession{}, err
	}
	c := Caller{Kind: PortalCaller, TenantID: l.TenantID, PrincipalID: l.PrincipalID, AppID: l.AppID, Name: l.Name, Address: from.Address, RequestID: from.RequestID}
	var s PortalSession
	err = d.change(ctx, c, func(a *act) error {
		if _, err := a.lockCaller(); err != nil {
			return err
		}
		used, err := exec(a, a.tx, `DELETE FROM portal_links WHERE id = $1 AND expires_at > $2`, l.id, millis(a.at))
		if err == nil && used == 0 {
			err = noPortalLink()
		}
		if err != nil {
			return err
		}
		s, err = a.openPortalSession(&target{detail: map[string]string{"link": l.id}})
		return err
	})
	if e, ok := errors.AsType[*Error](err); ok && e.Kind == Unauthenticated {
		err = noPortalLink()
	}
	if err != nil {
		return PortalSession{}, err
	}
	return s, nil
}
