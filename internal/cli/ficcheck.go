package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/issuer"
)

// nearestOf is the credential that comes closest to an issuer and a subject, and how
// it differs.
func nearestOf(all []client.FederatedCredential, issuer, subject string) (client.FederatedCredential, []credential.Difference) {
	trusts := make([]credential.Trust, len(all))
	for i, c := range all {
		trusts[i] = credential.Trust{ID: c.Name, Issuer: c.Issuer, Subject: c.Subject, Audience: "-"}
	}
	t, differences := credential.Nearest(trusts, credential.Assertion{Issuer: issuer, Subject: subject, Audiences: []string{"-"}})
	return client.FederatedCredential{Name: t.ID, Issuer: t.Issuer, Subject: t.Subject}, differences
}

// issuerCheck reads what an issuer publishes, before somebody is told to trust it.
type issuerCheck struct {
	session *session
	typed   bool   // the URL, by --issuer
	roots   []byte // PEM, trusted besides the others
	warn    func(format string, args ...any)
}

// of returns an error with the exact mend if tokens of the issuer would be refused,
// as far as this machine can tell.
func (k issuerCheck) of(ctx context.Context, url string) error {
	src := issuer.Source{URL: url, CAPEM: k.roots}
	known := false
	var registered []client.Issuer
	if !k.session.azure {
		registered, _ = k.session.client.Issuers(ctx) // who may not see them can still ask the issuer
	}
	for _, r := range registered {
		if r.Issuer != url {
			continue
		}
		if r.KeySource != client.DiscoveredKeys {
			return nil // the service has its keys, and asks nobody for its discovery document
		}
		known = !r.Implicit
		src.Algorithms, src.CAPEM = r.Algorithms, append(append([]byte{}, r.CACertificate...), k.roots...)
	}
	// The person's own machine may ask what the person can.
	began := time.Now()
	v, err := issuer.New(issuer.Config{Allow: []string{"0.0.0.0/0", "::/0"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	report, err := v.Check(ctx, src)
	fetched(ctx, url, time.Since(began), err)
	if err == nil {
		if len(report.Keys) == 0 {
			k.warn("the issuer %s publishes no key that can be used", url)
		}
		return nil
	}
	err = fmt.Errorf("nothing was written: %w", err)
	if issuer.KindOf(err) == issuer.IssuerMismatch && report.DocumentIssuer != "" {
		said := "its discovery document names another issuer"
		if _, d := nearestOf([]client.FederatedCredential{{Issuer: url}}, report.DocumentIssuer, ""); len(d) > 0 && d[0].Slip() {
			said = d[0].HintFor("the given one", "the published one")
		}
		return hint(err, "%s; its tokens have --issuer %s", said, quote(report.DocumentIssuer))
	}
	for _, r := range registered {
		if known || r.Implicit { // that a credential names an issuer does not make it right
			continue
		}
		if _, d := nearestOf([]client.FederatedCredential{{Issuer: url}}, r.Issuer, ""); len(d) > 0 && d[0].Field == credential.Issuer && d[0].Slip() {
			return hint(err, "the service knows --issuer %s, and %s", quote(r.Issuer), d[0].HintFor("the given one", "the known one"))
		}
	}
	if _, untrusted := errors.AsType[x509.UnknownAuthorityError](err); untrusted {
		return hint(err, "--issuer-ca FILE names the CA of the issuer; --no-check leaves this out")
	}
	if plain := strings.TrimRight(url, "/") + "/"; strings.HasSuffix(url, "//") {
		return hint(err, "it ends with more than one slash: is --issuer %s meant? Where its tokens do have it so: --no-check", quote(plain))
	}
	if issuer.KindOf(err) == issuer.Unreachable && !k.typed {
		return hint(err, "where only the service reaches %s, or has its keys by other ways: --no-check", quote(url))
	}
	if issuer.KindOf(err) == issuer.Unreachable {
		return hint(err, "look at every letter of --issuer %s; where only the service reaches it, or has its keys by other ways: --no-check", quote(url))
	}
	return hint(err, "tokens of it would be refused until that is mended; --no-check writes it all the same")
}

// prepare refuses what the rules refuse and, unless nothing is to be checked, characters
// that are not what they look like. It warns of what else they let pass.
func (o *ficWriteOptions) prepare(cmd *cobra.Command, kind credential.ParentKind, c client.FederatedCredential) error {
	spec := credential.Spec{Name: c.Name, Issuer: c.Issuer, Subject: c.Subject, Description: c.Description, Audiences: c.Audiences}
	if err := spec.Validate(kind); err != nil {
		if plain := credential.Plain(c.Issuer); plain != c.Issuer && credential.ValidateIssuer(plain) == nil {
			err = hint(err, "it looks like --issuer %s", quote(plain))
		}
		return usage(err)
	}
	cautions := spec.Cautions()
	for _, caution := range cautions {
		if caution.Plain != "" && !o.noCheck {
			return hint(fmt.Errorf("nothing was written: the %s %s", caution.Field, caution.Detail),
				"it looks like %s; if that is not what is meant, --no-check writes it as it is", quote(caution.Plain))
		}
	}
	for _, caution := range cautions {
		warn(cmd, "the %s %s", caution.Field, caution.Detail)
	}
	return nil
}
