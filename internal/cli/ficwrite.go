package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
)

// ficWriteOptions are what create and update have in common.
type ficWriteOptions struct {
	ficOptions
	trust                 trustOptions
	audience, description string
	issuerCA              string
	noCheck, dryRun       bool
	waiting               ficWait
}

func (o *ficWriteOptions) flags(f *pflag.FlagSet) {
	o.ficOptions.flags(f)
	o.trust.flags(f)
	f.StringVar(&o.audience, "audience", "", "`AUDIENCE` of the tokens (default: "+credential.DefaultAudience+")")
	f.StringVar(&o.description, "description", "", "`TEXT` for people; applications only")
	f.StringVar(&o.issuerCA, "issuer-ca", "", "PEM `FILE` of a CA to trust when the issuer is read")
	f.BoolVar(&o.noCheck, "no-check", false, "do not look for look-alike characters, nor read the issuer's discovery document")
	f.BoolVar(&o.dryRun, "dry-run", false, "check everything and say what would be written, and write nothing")
	o.waiting.flags(f)
}

const ficCheckHelp = `

Before anything is written, look-alike characters are looked for, the issuer's
discovery document is read and its name compared byte by byte, because a slash, a
letter's case or one such character makes the service refuse every token. --no-check
leaves that out.

--wait exchanges a real token until the service takes it: the one in --token-file,
or for a service account one that the cluster of the kubeconfig is asked for.`

// write checks a credential's issuer, writes it unless it is a dry run, and prints it.
func (o *ficWriteOptions) write(cmd *cobra.Command, s *session, p ficParent, c client.FederatedCredential, did string, put func() (client.FederatedCredential, error)) error {
	ctx, stderr := cmd.Context(), cmd.ErrOrStderr()
	if !o.noCheck {
		k := issuerCheck{session: s, typed: o.trust.issuer != "", warn: func(format string, args ...any) { warn(cmd, format, args...) }}
		if o.issuerCA != "" {
			var err error
			if k.roots, err = readFileBounded(o.issuerCA); err != nil {
				return fmt.Errorf("--issuer-ca: %w", err)
			}
		}
		if err := k.of(ctx, c.Issuer); err != nil {
			return err
		}
	}
	assertion, err := o.waiting.assertion(ctx, c)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("the credential %q of %s: trusts %s about %s", c.Name, p, c.Issuer, c.Subject)
	if o.dryRun {
		fmt.Fprintf(stderr, "dry run: would have %s %s\n", did, what)
		return ficView.one(cmd.OutOrStdout(), o.output, ficObject{c, p})
	}
	if c, err = put(); err != nil {
		return s.explain(err)
	}
	note(cmd, "%s %s", did, what)
	if err := ficView.one(cmd.OutOrStdout(), o.output, ficObject{c, p}); err != nil {
		return err
	}
	return o.waiting.until(cmd, s, p, assertion)
}

func newFICCreate() *cobra.Command {
	o := &ficWriteOptions{}
	cmd := &cobra.Command{
		Use:   "create [NAME]",
		Short: "Let a workload be an application or a managed identity",
		Long: `Add a federated credential to an application or a managed identity: tokens of an
issuer about a subject are exchanged for its access tokens.

  --service-account NAMESPACE/NAME with --cluster NAME or --issuer URL
  --github ORG/REPO with --branch, --tag, --environment or --pull-request
  --issuer URL --subject SUBJECT for every other issuer

Without a NAME it gets one from the subject. One that is there already, under
whatever name, stays as it is.` + ficCheckHelp + connectionHelp,
		Example: `  entente federated-credential create --application pets --service-account pets/web --cluster prod
  entente federated-credential create web --managed-identity cat -g pets \
    --service-account pets/web --issuer https://oidc.example.org/edge/ --wait
  entente federated-credential create --application deploy --github contoso/shop --environment production
  entente federated-credential create ci --application deploy --issuer https://gitlab.com \
    --subject project_path:contoso/shop:ref_type:branch:ref:main --dry-run`,
		Args: arguments("[NAME]"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.create(cmd, args) },
	}
	o.flags(cmd.Flags())
	return cmd
}

func (o *ficWriteOptions) create(cmd *cobra.Command, args []string) error {
	if err := o.check(cmd); err != nil {
		return err
	}
	subject, err := o.trust.subjectOf()
	if err != nil {
		return err
	}
	if subject == "" || o.trust.github == "" && o.trust.issuer == "" && o.trust.cluster == "" {
		return usage(hint(errors.New("say whom to trust about what: --service-account NS/NAME or --subject SUBJECT with --issuer URL or --cluster NAME, or --github ORG/REPO"), "%s --help has examples", cmd.CommandPath()))
	}
	if o.identity != "" && o.description != "" {
		return usage(errors.New("--description is for applications: credentials of managed identities have none"))
	}
	if err := o.waiting.check(subject); err != nil {
		return err
	}
	s, p, err := o.parent(cmd)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	c := client.FederatedCredential{Subject: subject, Audiences: []string{credential.DefaultAudience}, Description: o.description}
	if o.audience != "" {
		c.Audiences[0] = o.audience
	}
	if c.Issuer, err = o.trust.issuerOf(ctx, s, o.subscription); err != nil {
		return s.explain(err)
	}
	if c.Name = defaultName(c.Issuer, c.Subject); len(args) > 0 {
		c.Name = args[0]
	}
	all, err := p.list(ctx, s)
	if err != nil {
		return s.explain(err)
	}
	for _, there := range all {
		switch {
		case there.Issuer == c.Issuer && there.Subject == c.Subject && slices.Equal(there.Audiences, c.Audiences):
			note(cmd, "there was already the credential %q of %s: trusts %s about %s", there.Name, p, c.Issuer, c.Subject)
			assertion, err := o.waiting.assertion(ctx, there)
			if err != nil {
				return err
			}
			if err := ficView.one(cmd.OutOrStdout(), o.output, ficObject{there, p}); err != nil || o.dryRun {
				return err
			}
			return o.waiting.until(cmd, s, p, assertion)
		case there.Issuer == c.Issuer && there.Subject == c.Subject:
			if err := o.prepare(cmd, p.Kind, c); err != nil {
				return err
			}
			return hint(fmt.Errorf("%w: the credential %q of %s trusts the same issuer and subject, with the audience %s", client.ErrConflict, there.Name, p, strings.Join(there.Audiences, ", ")),
				"%s", updateLine(there.Name, p.flag()+" --audience "+quote(c.Audiences[0])))
		case strings.EqualFold(there.Name, c.Name):
			return hint(fmt.Errorf("%w: the credential %q of %s trusts %s about %s", client.ErrConflict, there.Name, p, there.Issuer, there.Subject),
				"give another name, or change it: %s", updateLine(there.Name, p.flag()))
		}
	}
	if limit := limitOf(ctx, s); len(all) >= limit {
		return hint(fmt.Errorf("%s has used %d of %d credentials", p, len(all), limit),
			"entente federated-credential list %s shows them; delete one, or give the workload an identity of its own", p.flag())
	}
	if err := o.prepare(cmd, p.Kind, c); err != nil {
		return err
	}
	if near, differences := nearestOf(all, c.Issuer, c.Subject); credential.Slips(differences) {
		warn(cmd, "the credential %q trusts nearly the same: %s", near.Name, differences[0].HintFor("the one there", "the new one"))
	}
	return o.write(cmd, s, p, c, "created", func() (client.FederatedCredential, error) { return p.create(ctx, s, c) })
}

// updateLine is a command line that changes a credential. A name that begins with -,
// as azwi makes some, would be taken for flags anywhere but behind --.
func updateLine(name, flags string) string {
	if strings.HasPrefix(name, "-") {
		return fmt.Sprintf("entente federated-credential update %s -- %s", flags, quote(name))
	}
	return fmt.Sprintf("entente federated-credential update %s %s", quote(name), flags)
}

func newFICUpdate() *cobra.Command {
	o := &ficWriteOptions{}
	cmd := &cobra.Command{
		Use:   "update NAME",
		Short: "Change what a credential trusts",
		Long:  `Change a federated credential: what is not given stays. Its name cannot change.` + ficCheckHelp + connectionHelp,
		Example: `  entente federated-credential update web --application pets --cluster prod-2
  entente fic update web --managed-identity cat -g pets --service-account pets/web-2 --dry-run`,
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.update(cmd, args[0]) },
	}
	o.flags(cmd.Flags())
	return cmd
}

func (o *ficWriteOptions) update(cmd *cobra.Command, name string) error {
	described := wasGiven(cmd.Flags(), "description")
	switch {
	case !o.trust.given() && o.audience == "" && !described:
		return usage(hint(errors.New("say what to change"), "%s --help lists the flags", cmd.CommandPath()))
	case o.identity != "" && described:
		return usage(errors.New("--description is for applications: credentials of managed identities have none"))
	}
	subject, err := o.trust.subjectOf()
	if err != nil {
		return err
	}
	s, p, err := o.parent(cmd)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	issuer, err := o.trust.issuerOf(ctx, s, o.subscription)
	if err != nil {
		return s.explain(err)
	}
	c, err := (&trustOptions{}).find(cmd, s, p, []string{name})
	if err != nil {
		return s.explain(err)
	}
	before := c
	before.Audiences = slices.Clone(c.Audiences)
	if issuer != "" {
		c.Issuer = issuer
	}
	if subject != "" {
		c.Subject = subject
	}
	if o.audience != "" {
		c.Audiences = []string{o.audience}
	}
	if described {
		c.Description = o.description
	}
	if err := o.waiting.check(c.Subject); err != nil {
		return err
	}
	did := "updated"
	if c.Issuer == before.Issuer && c.Subject == before.Subject && c.Description == before.Description && slices.Equal(c.Audiences, before.Audiences) {
		did = "left as it was"
	}
	if err := o.prepare(cmd, p.Kind, c); err != nil {
		return err
	}
	return o.write(cmd, s, p, c, did, func() (client.FederatedCredential, error) {
		if did != "updated" {
			return c, nil
		}
		return c, p.update(ctx, s, c)
	})
}
