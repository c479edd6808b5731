package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/manifest"
)

// key is how the names of a holder's credentials are compared.
func (h *holder) key(name string) string {
	if h.kind == credential.ManagedIdentity {
		return fold(name) // as all names in Resource Manager
	}
	return name
}

func (p *planner) credentials() error {
	for _, h := range p.holders {
		if !h.lists() {
			continue
		}
		if err := p.credentialsOf(h); err != nil {
			return fmt.Errorf("%s: %w", h, err)
		}
	}
	return nil
}

func (p *planner) credentialsOf(h *holder) error {
	found, rest := match(h.credentials, h.want.FederatedCredentials, h.key)
	var writes, made []matched
	for _, m := range found {
		if m.old == nil {
			made = append(made, m)
		}
		if m.old == nil || len(h.differences(m)) > 0 {
			writes = append(writes, m)
		}
		p.othersOwn(h, m)
	}
	rest = slices.DeleteFunc(rest, func(c *client.FederatedCredential) bool {
		return p.file.Owner == "" || manifest.OwnerOf(c.Name) != p.file.Owner
	})
	room, err := p.predict(h, made, len(rest))
	if err != nil {
		return err
	}
	if len(rest) > 0 && !p.Prune {
		p.plan.Notes = append(p.plan.Notes, fmt.Sprintf("%s has %s, which the file's owner made and the file has no more: --prune removes %s", h, list(rest), itOrThem(rest)))
		rest = nil
	}
	for _, m := range found {
		if !slices.Contains(writes, m) {
			p.standing(h, m)
		}
	}
	// What is made comes before what is removed, so that nothing is missing in
	// between, unless there is no room for both.
	for _, m := range order(h.credentials, writes) {
		if m.old == nil {
			if room == 0 && len(rest) > 0 {
				p.remove(h, rest[0])
				rest = rest[1:]
			} else {
				room--
			}
			p.make(h, m)
		} else {
			p.change(h, m)
		}
	}
	for _, c := range rest {
		p.remove(h, c)
	}
	return nil
}

// othersOwn says that a credential which the file has under another name is somebody else's.
func (p *planner) othersOwn(h *holder, m matched) {
	if m.old == nil || h.key(m.old.Name) == h.key(m.want.Name) {
		return
	}
	owner := manifest.OwnerOf(m.old.Name)
	if owner != "" && owner != p.file.Owner && len(h.differences(m)) > 0 {
		p.add(m.want.Place, "", "is the credential %q of %s, which the owner %q has made, with another value of %s: agree with them, or take it out of one of the two files",
			m.old.Name, h, owner, h.differences(m)[0].Field)
	}
}

func list(all []*client.FederatedCredential) string {
	var b strings.Builder
	for i, c := range all {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == 10 {
			fmt.Fprintf(&b, "and %d more", len(all)-i)
			break
		}
		fmt.Fprintf(&b, "%q", c.Name)
	}
	return b.String()
}

func itOrThem(all []*client.FederatedCredential) string {
	if len(all) == 1 {
		return "it"
	}
	return "them"
}

// predict says that there would be more credentials than the parent may have, and
// returns how many more it has room for now.
func (p *planner) predict(h *holder, made []matched, owned int) (room int, _ error) {
	if len(made) == 0 {
		return 0, nil
	}
	if err := p.askLimit(); err != nil {
		return 0, err
	}
	total := len(h.credentials) + len(made)
	if p.Prune {
		total -= owned
	}
	limit := *p.limit
	switch {
	case limit == 0:
		if limit = credential.DefaultLimit; total > limit {
			p.plan.Notes = append(p.plan.Notes, fmt.Sprintf("%s would have %d credentials, and the caller may not read how many it may have", h, total))
		}
	case total > limit:
		hint := ""
		if owned > 0 && !p.Prune {
			hint = fmt.Sprintf("; --prune removes %d that the file has no more", owned)
		} else if p.target.Service == entente {
			hint = "; policy.maxFederatedIdentityCredentials raises the limit"
		}
		first := made[max(len(made)-(total-limit), 0)].want
		p.add(first.Place, "", "is one more than the %d that %s may have: it would have %d%s", limit, h, total, hint)
	}
	return max(limit-len(h.credentials), 0), nil
}

// askLimit finds out how many credentials a parent may have: 0 if that is not to be
// known. Azure has one limit, and is not asked.
func (p *planner) askLimit() error {
	if p.limit != nil {
		return nil
	}
	limit := credential.DefaultLimit
	p.limit = &limit
	if p.target.Service == azure {
		return nil
	}
	policy, err := p.client.Policy(p.ctx)
	if e, ok := errors.AsType[*client.Error](err); ok && (e.Status == forbidden || e.Status == notFound) {
		limit = 0
		return nil
	}
	limit = policy.MaxFederatedIdentityCredentials
	return err
}

// differences are the fields in which a credential that is there differs.
func (h *holder) differences(m matched) []Change {
	var c changed
	c.text("issuer", true, m.old.Issuer, m.want.Issuer)
	c.text("subject", true, m.old.Subject, m.want.Subject)
	if !slices.Equal(m.old.Audiences, m.want.Audiences) {
		c = append(c, Change{"audiences", some(m.old.Audiences), some(m.want.Audiences)})
	}
	if h.kind == credential.Application {
		c.text("description", m.want.Has("description"), m.old.Description, m.want.Description)
	}
	return c
}

// credentialStep begins the step of a credential that the file has.
func (p *planner) credentialStep(h *holder, m matched, action Action) *Step {
	s := &Step{Action: action, Kind: CredObject, Name: m.want.Name, Parent: h.parent(), work: work{of: h}}
	if m.old != nil {
		s.Name = m.old.Name
		if h.key(m.old.Name) != h.key(m.want.Name) {
			s.Declared = m.want.Name
		}
	}
	if h.kind == credential.ManagedIdentity && m.want.Description != "" {
		s.Notes = append(s.Notes, "its description is left out: Resource Manager has none")
	}
	return s
}

// standing is a credential that is as stated, perhaps under another name.
func (p *planner) standing(h *holder, m matched) {
	s := p.credentialStep(h, m, Unchanged)
	if s.Declared != "" {
		s.Action = Adopt
		s.Notes = append(s.Notes, p.keepsName(m))
	}
	p.step(m.want.Place, s)
}

// keepsName says why a credential does not get the name that the file has for it.
func (p *planner) keepsName(m matched) string {
	const keeps = "it keeps its name: names do not change, and no second one can have its issuer and subject"
	switch owner := manifest.OwnerOf(m.old.Name); {
	case owner != "" && owner != p.file.Owner:
		return keeps + fmt.Sprintf("; by its name the owner %q made it, and may remove it", owner)
	case owner == "" && p.file.Owner != "":
		return keeps + "; so --prune will not remove it"
	}
	return keeps
}

func (p *planner) make(h *holder, m matched) {
	f := m.want
	s := p.credentialStep(h, m, Create)
	var c changed
	c.fresh("issuer", f.Issuer)
	c.fresh("subject", f.Subject)
	c.fresh("audiences", f.Audiences)
	put := client.FederatedCredential{Name: f.Name, Issuer: f.Issuer, Subject: f.Subject, Audiences: f.Audiences}
	if h.kind == credential.Application {
		c.fresh("description", f.Description)
		put.Description = f.Description
	}
	if m.moved {
		s.Notes = append(s.Notes, "another credential gives up this issuer and subject first, so for a moment nothing trusts them")
	}
	s.Notes = append(s.Notes, cautions(f)...)
	s.Changes = c
	if h.kind == credential.ManagedIdentity {
		s.do = func(ctx context.Context) error {
			_, _, err := p.client.PutIdentityCredential(ctx, p.identityID(h.identity), put)
			return err
		}
	} else {
		s.do = func(ctx context.Context) error {
			_, err := p.client.CreateApplicationCredential(ctx, h.id, put)
			return err
		}
	}
	s.work.standing = func(ctx context.Context) (bool, error) { return p.isThere(ctx, h, put) }
	p.step(f.Place, s)
}

// isThere says whether a credential is there just as it should be.
func (p *planner) isThere(ctx context.Context, h *holder, want client.FederatedCredential) (bool, error) {
	var is client.FederatedCredential
	var err error
	if h.kind == credential.ManagedIdentity {
		is, err = p.client.IdentityCredential(ctx, p.identityID(h.identity), want.Name)
	} else {
		is, err = p.client.ApplicationCredential(ctx, h.id, want.Name)
	}
	is, there, err := found(is, err)
	return there && is.Issuer == want.Issuer && is.Subject == want.Subject && slices.Equal(is.Audiences, want.Audiences) && is.Description == want.Description, err
}

// cautions are what is worth a second look in values that are written.
func cautions(f *manifest.FederatedCredential) (notes []string) {
	for _, c := range f.Spec().Cautions() {
		notes = append(notes, fmt.Sprintf("%s %s", c.Field, c.Detail))
	}
	return notes
}

func (p *planner) change(h *holder, m matched) {
	f := m.want
	s := p.credentialStep(h, m, Update)
	s.Changes = h.differences(m)
	if s.Declared != "" {
		s.Notes = append(s.Notes, p.keepsName(m))
	}
	if m.moved {
		s.Notes = append(s.Notes, "another credential gives up this issuer and subject first, so for a moment nothing trusts them")
	}
	if m.old.Issuer != f.Issuer || m.old.Subject != f.Subject {
		s.Notes = append(s.Notes, cautions(f)...)
	}
	if h.kind == credential.ManagedIdentity {
		put := client.FederatedCredential{Name: m.old.Name, Issuer: f.Issuer, Subject: f.Subject, Audiences: f.Audiences}
		s.do = func(ctx context.Context) error {
			_, _, err := p.client.PutIdentityCredential(ctx, p.identityID(h.identity), put)
			return err
		}
	} else {
		var u client.FederatedCredentialUpdate
		for _, c := range s.Changes {
			switch c.Field {
			case "issuer":
				u.Issuer = f.Issuer
			case "subject":
				u.Subject = f.Subject
			case "audiences":
				u.Audiences = f.Audiences
			case "description":
				u.Description = &f.Description
			}
		}
		s.do = func(ctx context.Context) error {
			return p.client.UpdateApplicationCredential(ctx, h.id, m.old.ID, u)
		}
	}
	p.step(f.Place, s)
}

func (p *planner) remove(h *holder, c *client.FederatedCredential) {
	s := &Step{Action: Delete, Kind: CredObject, Name: c.Name, Parent: h.parent(), work: work{of: h}}
	s.Changes = []Change{{"issuer", c.Issuer, nil}, {"subject", c.Subject, nil}, {"audiences", some(c.Audiences), nil}}
	if h.kind == credential.ManagedIdentity {
		s.do = func(ctx context.Context) error {
			return p.client.DeleteIdentityCredential(ctx, p.identityID(h.identity), c.Name)
		}
	} else {
		s.do = func(ctx context.Context) error {
			err := p.client.DeleteApplicationCredential(ctx, h.id, c.ID)
			if errors.Is(err, client.ErrNotFound) {
				return nil // somebody was faster
			}
			return err
		}
	}
	p.step(manifest.Place{}, s)
}
