package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/issuer"
)

type issuerPublishOptions struct {
	clusterOptions
	keys                    []string
	fromCluster             bool
	kubeconfig, kubeContext string
	issuer                  string
	folder, cluster         string
	dryRun                  bool
}

func newIssuerPublish() *cobra.Command {
	o := &issuerPublishOptions{}
	cmd := &cobra.Command{
		Use:   "publish",
		Short: "Publish a cluster's discovery document and keys where verifiers can read them",
		Long: `Make the two documents by which verifiers check a cluster's tokens: discovery at
{issuer}/.well-known/openid-configuration and the key set at
{issuer}/openid/v1/jwks. They are written

  to standard output   as one object with the members "discovery" and "jwks",
  to --folder DIR      under their two paths, for any web server or bucket that is
                       at the issuer's URL, the keys before what names them,
  to --cluster NAME    the hosted issuer of a cluster that is registered with the
                       service, which publishes them itself.

The keys are read from the cluster's API server, or from files of public keys. Again
and again it changes only what is different; entente cluster update-keys --watch
does so by itself for a hosted issuer.

The API server has to name the issuer (--service-account-issuer=URL), to the last
slash, or every token is refused: where it does not, that is said.`,
		Example: `  entente issuer publish --from-cluster -o json
  entente issuer publish --from-cluster --issuer https://oidc.example.org/prod/ --folder ./public
  entente issuer publish --keys sa.pub --keys sa-new.pub --folder ./public \
    --issuer https://oidc.example.org/prod/
  entente issuer publish --from-cluster --cluster prod -g pets`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.keys, "keys", nil, "`FILE` of public keys, a JSON Web Key Set or PEM; - is standard input (repeatable)")
	f.BoolVar(&o.fromCluster, "from-cluster", false, "read the keys, and the issuer, from the cluster itself")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "`FILE` that says where the cluster is (default: as kubectl, or the pod's own)")
	f.StringVar(&o.kubeContext, "kube-context", "", "`NAME` of the kubeconfig's context (default: the current one)")
	f.StringVar(&o.issuer, "issuer", "", "`URL` of the issuer (default: what the cluster says)")
	f.StringVar(&o.folder, "folder", "", "`DIR` to write the two documents into")
	f.StringVar(&o.cluster, "cluster", "", "`NAME` of the registered cluster whose hosted issuer publishes the keys")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would change, and change nothing")
	o.clusterOptions.flags(f)
	return cmd
}

func (o *issuerPublishOptions) check() error {
	switch {
	case o.fromCluster == (len(o.keys) > 0):
		return usage(hint(errors.New("give either --from-cluster or --keys FILE"), "entente issuer publish --help has examples"))
	case !o.fromCluster && (o.kubeconfig != "" || o.kubeContext != ""):
		return usage(errors.New("--kubeconfig and --kube-context go with --from-cluster"))
	case o.folder != "" && o.cluster != "":
		return usage(errors.New("--folder and --cluster do not go together"))
	case o.cluster != "" && o.issuer != "":
		return usage(hint(errors.New("--issuer and --cluster do not go together"), "the issuer of a registered cluster is what it was registered with"))
	case o.cluster == "" && o.group != "":
		return usage(errors.New("--resource-group goes with --cluster"))
	case o.cluster == "" && !o.fromCluster && o.issuer == "":
		return usage(hint(errors.New("--issuer is missing"), "it is kube-apiserver's --service-account-issuer"))
	}
	if o.issuer != "" {
		if err := credential.ValidateIssuer(o.issuer); err != nil {
			return usage(fmt.Errorf("--issuer: %w", err))
		}
	}
	return o.output.check()
}

func (o *issuerPublishOptions) run(cmd *cobra.Command) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.cluster != "" {
		u := updateKeysOptions{
			clusterOptions: o.clusterOptions, keys: o.keys, fromCluster: o.fromCluster, kubeconfig: o.kubeconfig, kubeContext: o.kubeContext,
			every: maxBackOff, logFormat: "text", dryRun: o.dryRun,
		}
		return u.run(cmd, o.cluster)
	}
	set, url, err := o.read(cmd)
	if err != nil {
		return err
	}
	for _, note := range set.notes {
		warn(cmd, "%s", note)
	}
	p, err := publicationOf(url, set)
	if err != nil {
		return err
	}
	if o.folder == "" {
		if o.output == "table" {
			return printJSON(cmd.OutOrStdout(), p)
		}
		return o.output.print(cmd.OutOrStdout(), p, func() string { return url }, nil)
	}
	written, err := p.write(o.folder, o.dryRun)
	if err != nil {
		return err
	}
	return o.print(cmd.OutOrStdout(), publishing{Issuer: url, Folder: o.folder, Files: written})
}

// read finds the keys and the URL of the issuer.
func (o *issuerPublishOptions) read(cmd *cobra.Command) (set keySet, url string, err error) {
	if !o.fromCluster {
		if set, err = readKeySet(o.keys, cmd.InOrStdin()); err != nil {
			err = fmt.Errorf("--keys: %w", err)
		}
		return set, o.issuer, err
	}
	api, err := openAPIServer(o.kubeconfig, o.kubeContext)
	if err != nil {
		return keySet{}, "", err
	}
	if set, err = api.keySet(cmd.Context()); err != nil {
		return keySet{}, "", err
	}
	said, err := api.issuer(cmd.Context())
	switch url = cmp.Or(o.issuer, said); {
	case err != nil && (o.issuer == "" || cmd.Context().Err() != nil):
		return keySet{}, "", err
	case err != nil:
		warn(cmd, "whether the cluster's tokens name the issuer %s is not known: %v", url, err)
	case said != url:
		warn(cmd, "the cluster's tokens name the issuer %q: they will be refused until its API server is started with --service-account-issuer=%s", said, url)
	}
	if err := credential.ValidateIssuer(url); err != nil {
		return keySet{}, "", hint(fmt.Errorf("the issuer that the cluster names: %w", err), "--issuer URL says where the documents will be; start the API server with --service-account-issuer=URL too")
	}
	if isPrivateName(url) {
		warn(cmd, "%s is a name that only the cluster itself knows: --issuer URL says where others will find the documents", url)
	}
	return set, url, nil
}

// isPrivateName tells the issuer that Kubernetes has when nobody chose one.
func isPrivateName(url string) bool {
	host := strings.TrimPrefix(url, "https://")
	host, _, _ = strings.Cut(host, "/")
	host, _, _ = strings.Cut(host, ":")
	return host == "kubernetes.default.svc" || strings.HasPrefix(host, "kubernetes.default.svc.")
}

// discoveryDocument is what kube-apiserver publishes of itself (OpenID Connect
// Discovery 1.0 section 3).
type discoveryDocument struct {
	Issuer        string   `json:"issuer"`
	JWKSURI       string   `json:"jwks_uri"`
	ResponseTypes []string `json:"response_types_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
}

// publication is the two documents of an issuer.
type publication struct {
	Discovery discoveryDocument `json:"discovery"`
	JWKS      json.RawMessage   `json:"jwks"`
}

// Where the documents are, below the issuer's URL; the second is kube-apiserver's choice.
const (
	discoveryPath = ".well-known/openid-configuration"
	jwksPath      = "openid/v1/jwks"
)

func publicationOf(url string, set keySet) (publication, error) {
	keys, _, err := issuer.ParseKeySet(set.document)
	if err != nil {
		return publication{}, err
	}
	algorithms := map[string]bool{}
	for _, k := range keys {
		byType := map[string]string{"RSA": "RS256", "P-256": "ES256", "P-384": "ES384", "Ed25519": "EdDSA"}
		algorithms[cmp.Or(k.Algorithm, byType[cmp.Or(k.Curve, k.Type)])] = true
	}
	p := publication{JWKS: set.document, Discovery: discoveryDocument{
		Issuer: url, JWKSURI: strings.TrimSuffix(url, "/") + "/" + jwksPath,
		ResponseTypes: []string{"id_token"}, SubjectTypes: []string{"public"},
	}}
	for _, a := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"} {
		if algorithms[a] {
			p.Discovery.Algorithms = append(p.Discovery.Algorithms, a)
		}
	}
	return p, nil
}

// publishing is what has been written, or would be.
type publishing struct {
	Issuer string          `json:"issuer"`
	Folder string          `json:"folder"`
	Files  []publishedFile `json:"files"`
}

type publishedFile struct {
	Path    string `json:"path"` // below the folder, and below the issuer's URL
	Changed bool   `json:"changed"`
}

// write puts the documents into a folder, each at once or not at all, the keys
// before what names them. What is there already stays untouched.
func (p publication) write(folder string, dryRun bool) (files []publishedFile, _ error) {
	for _, d := range []struct {
		path string
		v    any
	}{{jwksPath, p.JWKS}, {discoveryPath, p.Discovery}} {
		var text bytes.Buffer
		if err := printJSON(&text, d.v); err != nil {
			return files, err
		}
		name := filepath.Join(folder, filepath.FromSlash(d.path))
		before, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return files, err
		}
		changed := !bytes.Equal(before, text.Bytes())
		if changed && !dryRun {
			if err := replaceFile(name, text.Bytes()); err != nil {
				return files, err
			}
		}
		files = append(files, publishedFile{d.path, changed})
	}
	return files, nil
}

// replaceFile writes a file that everybody may read, so that nobody reads half of it.
func replaceFile(name string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".publish-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it is not there any more when all went well
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func (o *issuerPublishOptions) print(w io.Writer, p publishing) error {
	return o.output.print(w, p, func() string { return p.Folder }, func() error {
		for _, f := range p.Files {
			word := map[bool]string{true: "written", false: "unchanged"}[f.Changed]
			if f.Changed && o.dryRun {
				word = "would be written"
			}
			if _, err := fmt.Fprintf(w, "%-16s  %s\n", word, filepath.Join(p.Folder, f.Path)); err != nil {
				return err
			}
		}
		if !slices.ContainsFunc(p.Files, func(f publishedFile) bool { return f.Changed }) || o.dryRun {
			return nil
		}
		_, err := fmt.Fprintf(w, "\nServe the folder at %s as application/json, then: entente issuer check %s\n", p.Issuer, quote(p.Issuer))
		return err
	})
}
