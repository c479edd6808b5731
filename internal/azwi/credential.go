package azwi

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
)

func (s *run) createCredential(ctx context.Context) error {
	want := s.Options.credential()
	if s.planned {
		s.dry("add the federated credential", "issuerURL", want.Issuer, "subject", want.Subject)
		return nil
	}
	of, err := s.credentials(ctx)
	if err != nil {
		return absent(err)
	}
	var all []client.FederatedCredential
	err = s.settle(ctx, func() (err error) {
		all, err = of.list(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("listing the federated credentials: %w", err)
	}
	if there, err := s.previous(of, all, want); there || err != nil {
		return err
	}
	for _, c := range spec(want).Cautions() {
		s.note("the " + string(c.Field) + " " + c.Detail)
	}
	key, value := of.who()
	if s.dry("add the federated credential", key, value, "issuerURL", want.Issuer, "subject", want.Subject) {
		return nil
	}
	err = s.settle(ctx, func() error { return of.add(ctx, want) })
	if errors.Is(err, client.ErrConflict) { // somebody was faster
		if all, err := of.list(ctx); err == nil {
			if there, err := s.previous(of, all, want); there || err != nil {
				return err
			}
		}
	}
	if err != nil {
		return fmt.Errorf("adding the federated credential: %w", err)
	}
	s.info("added federated credential", key, value, "subject", want.Subject)
	return nil
}

// previous says whether the credential is there, whatever its name. One that would
// not do, and is in its way, is an error.
func (s *run) previous(of credentials, all []client.FederatedCredential, want client.FederatedCredential) (bool, error) {
	for _, c := range all {
		same := c.Issuer == want.Issuer && c.Subject == want.Subject
		switch {
		case same && slices.Equal(c.Audiences, want.Audiences):
			key, value := of.who()
			s.note("federated credential has been previously created", key, value, "name", c.Name, "subject", c.Subject)
			return true, nil
		case same:
			return false, fmt.Errorf("the federated credential %q is for the same issuer and subject, with the audience %q instead of %q: change or delete it", c.Name, c.Audiences, want.Audiences)
		case c.Name == want.Name:
			return false, fmt.Errorf("the federated credential %q has the name of the one to add, for the issuer %q and the subject %q: change or delete it", c.Name, c.Issuer, c.Subject)
		}
	}
	return false, nil
}

func (s *run) deleteCredential(ctx context.Context) error {
	want := s.Options.credential()
	args := []any{"issuerURL", want.Issuer, "subject", want.Subject}
	of, err := s.credentials(ctx)
	if errors.Is(err, client.ErrNotFound) {
		s.note("federated identity credential not found, nor what would have it", args...)
		return nil
	}
	if err != nil {
		return err
	}
	all, err := of.list(ctx)
	if errors.Is(err, client.ErrNotFound) {
		s.note("federated identity credential not found, nor what would have it", args...)
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing the federated credentials: %w", err)
	}
	i := slices.IndexFunc(all, func(c client.FederatedCredential) bool { return c.Issuer == want.Issuer && c.Subject == want.Subject })
	if i < 0 {
		s.note("federated identity credential not found", append(args, nearest(all, want)...)...)
		return nil
	}
	if s.dry("delete the federated identity credential", args...) {
		return nil
	}
	if err := of.remove(ctx, all[i]); err != nil && !errors.Is(err, client.ErrNotFound) {
		return fmt.Errorf("deleting the federated identity credential: %w", err)
	}
	s.info("deleted federated identity credential", args...)
	return nil
}

// nearest names the credential that may have been meant by one that is not there.
func nearest(all []client.FederatedCredential, want client.FederatedCredential) []any {
	var trusts []credential.Trust
	for _, c := range all {
		trusts = append(trusts, credential.Trust{ID: c.Name, Issuer: c.Issuer, Subject: c.Subject, Audience: credential.DefaultAudience})
	}
	t, differences := credential.Nearest(trusts, credential.Assertion{Issuer: want.Issuer, Subject: want.Subject, Audiences: want.Audiences})
	if len(differences) != 1 { // another workload's
		return nil
	}
	return []any{"nearest", fmt.Sprintf("%s with the %s %s", t.ID, differences[0].Field, differences[0].Want)}
}

func spec(c client.FederatedCredential) credential.Spec {
	return credential.Spec{Name: c.Name, Issuer: c.Issuer, Subject: c.Subject, Description: c.Description, Audiences: c.Audiences}
}
