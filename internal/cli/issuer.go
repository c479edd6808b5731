package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/entente-id/entente/internal/doctor"
)

func newIssuer() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "issuer",
		Short: "Show, check and publish the issuer of a cluster",
		Long: `Show the issuer of a cluster's tokens, check whether verifiers will take an issuer, and
publish the documents of one that verifiers cannot reach.`,
		Example: `  entente issuer show --from-cluster
  entente issuer check https://oidc.example.org/prod/
  entente issuer check "$(entente issuer show --from-cluster)"
  entente issuer publish --from-cluster --issuer https://oidc.example.org/prod/ --folder ./public`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newIssuerShow(), newIssuerCheck(), newIssuerPublish())
	return cmd
}

type issuerShowOptions struct {
	output
	fromCluster             bool
	kubeconfig, kubeContext string
}

// shownIssuer is what a cluster says about its tokens.
type shownIssuer struct {
	Issuer     string   `json:"issuer"`
	JWKSURI    string   `json:"jwks_uri"`
	Algorithms []string `json:"id_token_signing_alg_values_supported"`
}

func newIssuerShow() *cobra.Command {
	o := &issuerShowOptions{}
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the issuer of a cluster's tokens",
		Long: `Print the issuer of a cluster's service-account tokens, and nothing else, exactly
as its tokens have it; with -o json also where its keys are. It is what a federated
credential has to name, to the last slash.`,
		Example: `  entente issuer show --from-cluster
  SERVICE_ACCOUNT_ISSUER="$(entente issuer show --from-cluster --kube-context prod)"
  entente issuer show --from-cluster -o json`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.fromCluster, "from-cluster", false, "ask the cluster itself")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "`FILE` that says where the cluster is (default: as kubectl, or the pod's own)")
	f.StringVar(&o.kubeContext, "kube-context", "", "`NAME` of the kubeconfig's context (default: the current one)")
	// There is no service here whose context could be meant.
	f.StringVar(&o.kubeContext, "context", "", "the same")
	f.Lookup("context").Hidden = true
	o.output.flags(f)
	return cmd
}

func (o *issuerShowOptions) run(cmd *cobra.Command) error {
	if err := o.output.check(); err != nil {
		return err
	}
	if !o.fromCluster {
		return usage(hint(errors.New("whose issuer is not said"), "entente issuer show --from-cluster asks the cluster of the kubeconfig; entente cluster show NAME -g GROUP shows that of a registered one"))
	}
	api, err := openAPIServer(o.kubeconfig, o.kubeContext)
	if err != nil {
		return err
	}
	text, err := api.read(cmd.Context(), "/.well-known/openid-configuration")
	if err != nil {
		return err
	}
	var i shownIssuer
	if err := json.Unmarshal(text, &i); err != nil {
		return fmt.Errorf("the cluster's discovery document: %w", err)
	}
	if i.Issuer == "" {
		return errors.New("the cluster's discovery document names no issuer")
	}
	if printed, err := o.document(cmd.OutOrStdout(), i); printed {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), i.Issuer)
	return err
}

type issuerCheckOptions struct {
	output
	ca           string
	allowPrivate bool
}

func newIssuerCheck() *cobra.Command {
	o := &issuerCheckOptions{}
	cmd := &cobra.Command{
		Use:   "check URL",
		Short: "Say every reason why a verifier would refuse an issuer",
		Long: `Read what an issuer publishes as a verifier does, without proxies and redirects,
and say every reason why one would refuse it, not only the first: the URL itself,
the network, the certificate, the discovery document and the keys. Notes are about
what Microsoft Entra or an Entente service may stumble over.

Exit codes: 0 taken, 15 network, 16 TLS, 17 the URL or the discovery document, 18
keys, of the first reason; 1 to 4 as everywhere.`,
		Example: `  entente issuer check https://oidc.example.org/prod/
  entente issuer check https://10.0.0.1:6443 --ca /etc/kubernetes/pki/ca.crt --allow-private
  entente issuer check https://oidc.example.org/prod/ -o json | jq -r '.findings[].text'`,
		Args: arguments("URL"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.ca, "ca", "", "PEM `FILE` of CAs to trust besides the system's")
	f.BoolVar(&o.allowPrivate, "allow-private", false, "the verifier may ask private addresses")
	o.output.flags(f)
	return cmd
}

func (o *issuerCheckOptions) run(cmd *cobra.Command, url string) error {
	if err := o.output.check(); err != nil {
		return err
	}
	roots, err := systemAnd(o.ca)
	if err != nil {
		return fmt.Errorf("--ca: %w", err)
	}
	i := (&doctor.Reader{Roots: roots, AllowPrivate: o.allowPrivate}).Inspect(cmd.Context(), url)
	if err := cmd.Context().Err(); err != nil {
		return err
	}
	if err := o.print(cmd.OutOrStdout(), i); err != nil {
		return err
	}
	if code := i.ExitCode(); code != 0 {
		return &exited{code: code}
	}
	return nil
}

// print shows an inspection; its name is that of each reason.
func (o *issuerCheckOptions) print(w io.Writer, i *doctor.Inspection) error {
	if printed, err := o.document(w, i); printed {
		return err
	}
	if o.output != "name" {
		return printInspection(w, i, colours(w))
	}
	for _, f := range i.Findings {
		if f.State == doctor.Failed {
			if _, err := fmt.Fprintln(w, f.Cause); err != nil {
				return err
			}
		}
	}
	return nil
}

func printInspection(w io.Writer, i *doctor.Inspection, p palette) error {
	var b strings.Builder
	for _, line := range [][2]string{{"issuer", i.Issuer}, {"discovery", i.DiscoveryURL}, {"jwks_uri", i.JWKSURI}, {"algorithm", strings.Join(i.Algorithms, ", ")}} {
		if line[1] != "" {
			fmt.Fprintf(&b, "%-11s%s\n", line[0], visible(line[1]))
		}
	}
	for _, k := range i.Keys {
		fmt.Fprintf(&b, "%-11s%s %d bits %s %s\n", "key", k.Type, k.Bits, k.Algorithm, k.ID)
	}
	reasons := 0
	for _, f := range i.Findings {
		if f.State == doctor.Failed {
			reasons++
			fmt.Fprintf(&b, "\n%s%s (%s)\n", p.paint(red, fmt.Sprintf("%-11s", "REFUSED")), f.Text, f.Cause)
			writeFinding(&b, f, true, p)
		}
	}
	for _, f := range i.Findings {
		if f.State != doctor.Failed {
			word := map[doctor.State]string{doctor.Noted: "note", doctor.Unknown: "unknown"}[f.State]
			fmt.Fprintf(&b, "\n%-11s%s\n", word, f.Text)
			writeFinding(&b, f, true, p)
		}
	}
	switch reasons {
	case 0:
		fmt.Fprintf(&b, "\n%s\n", p.paint(green, "A verifier takes it."))
	case 1:
		fmt.Fprintf(&b, "\n%s\n", p.paint(red, "1 reason why a verifier refuses it."))
	default:
		fmt.Fprintf(&b, "\n%s\n", p.paint(red, fmt.Sprintf("%d reasons why a verifier refuses it.", reasons)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
