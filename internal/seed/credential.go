package seed

import (
	"slices"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/manifest"
)

func (t *tenant) credentials(h *holder) error {
	var have []directory.Credential
	if h.clientID != "" && len(h.want.FederatedCredentials) > 0 {
		var err error
		if have, err = all(func(page directory.Page) (directory.Paged[directory.Credential], error) {
			return t.Directory.Credentials(t, t.caller, h.parent(), page)
		}); err != nil {
			return err
		}
	}
	count := len(have)
	var pending []trusted
	for i := range h.want.FederatedCredentials {
		want := &h.want.FederatedCredentials[i]
		old := h.match(have, want)
		switch {
		case old == nil:
			if count++; count == t.allowed.MaxCredentials+1 { // said once
				t.add(want.Place, "", "is one more than the %d that %q may have: raise policy.maxFederatedIdentityCredentials", t.allowed.MaxCredentials, h.name)
			}
		case h.nameKey(old.Name) != h.nameKey(want.Name):
			t.Log.InfoContext(t, "seed: a credential keeps the name that it has", "name", want.Name, "has", old.Name, "of", h.name, "tenant", t.caller.TenantID)
		}
		if old != nil && old.Issuer == want.Issuer && old.Subject == want.Subject && slices.Equal(old.Audiences, want.Audiences) && (!want.Has("description") || old.Description == want.Description) {
			t.unchanged++
			continue
		}
		pending = append(pending, trusted{old, want})
	}
	t.writeCredentials(h, have, pending)
	return nil
}

// trusted is a credential that is there, or nil, and what it shall become.
type trusted struct {
	old  *directory.Credential
	want *manifest.FederatedCredential
}

func (h *holder) nameKey(name string) string {
	if h.kind == credential.ManagedIdentity {
		return fold(name)
	}
	return name
}

// match finds a credential by its name or, when none has that, by its issuer
// and subject: one that was renamed in the file is not made a second time. One
// that another entry of the file names is that one's.
func (h *holder) match(have []directory.Credential, want *manifest.FederatedCredential) *directory.Credential {
	for i, c := range have {
		if h.nameKey(c.Name) == h.nameKey(want.Name) {
			return &have[i]
		}
	}
	for i, c := range have {
		if c.Issuer == want.Issuer && c.Subject == want.Subject && !slices.ContainsFunc(h.want.FederatedCredentials, func(f manifest.FederatedCredential) bool { return h.nameKey(f.Name) == h.nameKey(c.Name) }) {
			return &have[i]
		}
	}
	return nil
}

type pair struct{ issuer, subject string }

// writeCredentials orders writes so that each finds its issuer and subject
// free, which no two credentials of one parent share.
func (t *tenant) writeCredentials(h *holder, have []directory.Credential, pending []trusted) {
	held := map[pair]*directory.Credential{}
	for i, c := range have {
		held[pair{c.Issuer, c.Subject}] = &have[i]
	}
	for len(pending) > 0 {
		before := len(pending)
		pending = slices.DeleteFunc(pending, func(c trusted) bool {
			by := held[pair{c.want.Issuer, c.want.Subject}]
			if by != nil && by != c.old {
				return false
			}
			if c.old != nil {
				delete(held, pair{c.old.Issuer, c.old.Subject})
			}
			t.writeCredential(h, c)
			return true
		})
		if len(pending) < before {
			continue
		}
		for _, c := range pending {
			t.add(c.want.Place, "subject", "the credential %q of %q has this issuer and subject: remove it, or give this one its name", held[pair{c.want.Issuer, c.want.Subject}].Name, h.name)
		}
		return
	}
}

func (t *tenant) writeCredential(h *holder, c trusted) {
	want := c.want
	if c.old == nil {
		t.make(directory.CredentialObject, want.Name, want.Place, func() ([]any, error) {
			made, err := t.Directory.AddCredential(t, t.caller, h.parent(), want.Spec())
			return []any{"of", h.name, "id", made.ID}, err
		})
		return
	}
	t.change(directory.CredentialObject, c.old.Name, want.Place, func() error {
		edit := directory.CredentialEdit{Issuer: &want.Issuer, Subject: &want.Subject, Audiences: &want.Audiences}
		if want.Has("description") {
			edit.Description = &want.Description
		}
		_, _, err := t.Directory.UpdateCredential(t, t.caller, h.parent(), c.old.Name, edit, false)
		return err
	})
}
