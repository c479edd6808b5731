package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/entente-id/entente/client"
)

type azSetupOptions struct {
	connection
	name      string
	configDir string
	run       bool
	dryRun    bool
}

func newAzSetup() *cobra.Command {
	o := &azSetupOptions{}
	cmd := &cobra.Command{
		Use:   "az-setup",
		Short: "Point the Azure CLI at the service",
		Long: `Print what a shell has to do once so that az, from release 2.45 (Debian's) on,
talks to the service: trust its CA, register it as a cloud, choose that cloud, log
in. With --run it is done. Both may be repeated, and no secret stands in what is
printed or among the arguments of a process.

az keeps the choice of a cloud for all shells. --config-dir gives it a directory
of its own for this, so that your other clouds stay as they are.

A token that a cluster signed (AZURE_FEDERATED_TOKEN_FILE) is kept by az as it is:
log in again before it expires.` + connectionHelp,
		Example: `  # in this shell, beside the settings for Azure
  eval "$(entente az-setup --config-dir ~/.azure-entente)"
  az account show

  # do it now, and see each step
  entente az-setup --run

  # another tenant of the service, as a client of that tenant
  export AZURE_CLIENT_ID=… AZURE_CLIENT_SECRET=…
  entente az-setup --run --tenant contoso.example --name Contoso`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.setUp(cmd) },
	}
	f := cmd.Flags()
	o.connection.flags(f)
	f.StringVar(&o.name, "name", "Entente", "`NAME` of the cloud in az")
	f.StringVar(&o.configDir, "config-dir", "", "`DIR` of az's settings, instead of what AZURE_CONFIG_DIR says or ~/.azure")
	f.BoolVar(&o.run, "run", false, "execute the lines instead of printing them")
	f.BoolVar(&o.dryRun, "dry-run", false, "with --run: print the lines all the same, and execute nothing")
	return cmd
}

// cloudName fits a section of the INI file where az keeps clouds.
var cloudName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// notOurs are names with a meaning of their own there.
var notOurs = []string{"azurecloud", "azurechinacloud", "azureusgovernment", "azuregermancloud", "default"}

func (o *azSetupOptions) setUp(cmd *cobra.Command) error {
	if !cloudName.MatchString(o.name) {
		return usage(fmt.Errorf("--name: %q is not up to 64 letters, digits, dots, hyphens and underscores", o.name))
	}
	if slices.Contains(notOurs, strings.ToLower(o.name)) {
		return usage(fmt.Errorf("--name: %q has a meaning of its own in az", o.name))
	}
	s, err := o.open(cmd)
	if err != nil {
		return err
	}
	if s.context != "" {
		return usage(hint(fmt.Errorf("context %s: az keeps its own settings, and takes a CA and a secret from files and the environment only", s.context),
			"give --data-dir DIR, or --url URL and --ca FILE with AZURE_CLIENT_ID and AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE"))
	}
	z := azure{session: s, name: o.name}
	if z.configDir, err = absolute(o.configDir); err != nil {
		return fmt.Errorf("--config-dir: %w", err)
	}
	z.caFile = s.caFile
	if z.caFile == "" && !wasGiven(cmd.Flags(), "data-dir") { // az does not know SSL_CERT_FILE
		z.caFile = cmp.Or(os.Getenv("REQUESTS_CA_BUNDLE"), os.Getenv("SSL_CERT_FILE"))
	}
	if err := z.lookUp(cmd.Context()); err != nil {
		return s.explain(err)
	}
	if o.run && !o.dryRun {
		return z.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return z.print(cmd.OutOrStdout())
}

// azure is az, as it has to be for one service and one caller.
type azure struct {
	*session
	name      string // of the cloud
	configDir string // empty: what az takes by itself
	caFile    string // empty: what az takes by itself
	plain     bool   // the tenant is the one of the service's plain AD FS names
}

// lookUp asks the service which of its names are the tenant's. That it answers at
// all is worth knowing before az fails with a Python traceback.
func (z *azure) lookUp(ctx context.Context) error {
	id, err := client.ResolveTenant(ctx, z.authority, "adfs", z.http)
	if err != nil {
		return err
	}
	if z.plain = id == z.tenantID; z.plain {
		return nil
	}
	_, err = client.ResolveTenant(ctx, z.authority, z.tenantID, z.http)
	return err
}

// cloud is the value of --cloud-config. With an authority that ends in /adfs the
// library in az takes the service's word for where its token endpoint is, and does
// not ask a Microsoft host first.
func (z *azure) cloud() string {
	authority := z.authority + "/adfs"
	if !z.plain {
		authority += "/" + z.tenantID + "/adfs"
	}
	type endpoints struct {
		ResourceManager                string `json:"resourceManager"`
		Management                     string `json:"management"`
		ActiveDirectory                string `json:"activeDirectory"`
		ActiveDirectoryResourceID      string `json:"activeDirectoryResourceId"`
		ActiveDirectoryGraphResourceID string `json:"activeDirectoryGraphResourceId"`
		MicrosoftGraphResourceID       string `json:"microsoftGraphResourceId"`
	}
	text, err := json.Marshal(map[string]endpoints{"endpoints": {
		ResourceManager:                z.authority,
		Management:                     z.authority + "/",
		ActiveDirectory:                authority,
		ActiveDirectoryResourceID:      "https://management.core.windows.net/",
		ActiveDirectoryGraphResourceID: z.authority + "/",
		MicrosoftGraphResourceID:       z.authority + "/",
	}})
	if err != nil {
		panic(err) // strings only
	}
	return string(text)
}

// login are the arguments of az that log the caller in. az reads an argument that
// begins with @ from the file of that name, and @- from its standard input.
func (z *azure) login() []string {
	arguments := []string{"login", "--service-principal", "-u", z.caller.clientID}
	if z.caller.tokenFile != "" {
		arguments = append(arguments, "--federated-token", "@"+z.caller.tokenFile)
	} else {
		arguments = append(arguments, "-p", "@-")
	}
	return append(arguments, "--tenant", z.tenantID, "--allow-no-subscriptions")
}

// variables are what az needs in every shell.
func (z *azure) variables() (all [][2]string) {
	for _, v := range [][2]string{{"AZURE_CONFIG_DIR", z.configDir}, {"REQUESTS_CA_BUNDLE", z.caFile}} {
		if v[1] != "" {
			all = append(all, v)
		}
	}
	return all
}

// secretLine writes the caller's secret to standard output, in a shell.
func (z *azure) secretLine() string {
	const write = `printf %s "$AZURE_CLIENT_SECRET"`
	if z.caller.dataDir == "" {
		return write
	}
	return fmt.Sprintf(`(eval "$(%s env --data-dir %s)" && %s)`, self(), quote(z.caller.dataDir), write)
}

// print writes the lines. They are a script for any POSIX shell, whose commands
// hang together: without the cloud, az would log in to Azure.
func (z *azure) print(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# az talks to %s, as client %s of tenant %s\n", z.authority, z.caller.clientID, z.tenantID)
	if z.configDir == "" && os.Getenv("AZURE_CONFIG_DIR") == "" {
		fmt.Fprintln(&b, `# To leave your settings for other clouds alone, first: export AZURE_CONFIG_DIR="$HOME/.azure-entente"`)
	}
	for _, v := range z.variables() {
		fmt.Fprintf(&b, "export %s=%s\n", v[0], quote(v[1]))
	}
	fmt.Fprintf(&b, "az cloud $(az cloud show -n %[1]s >/dev/null 2>&1 && echo update || echo register) -n %[1]s --cloud-config %[2]s &&\n", z.name, quote(z.cloud()))
	fmt.Fprintf(&b, "az cloud set -n %s &&\n", z.name)
	if z.caller.tokenFile == "" {
		fmt.Fprintf(&b, "%s | ", z.secretLine())
	}
	fmt.Fprintln(&b, line(z.login()))
	_, err := w.Write(b.Bytes())
	return err
}

// line is a command line of az for a shell.
func line(arguments []string) string {
	words := []string{"az"}
	for _, a := range arguments {
		words = append(words, quote(a))
	}
	return strings.Join(words, " ")
}

// run executes the lines and says which.
func (z *azure) run(ctx context.Context, stdout, stderr io.Writer) error {
	program, err := exec.LookPath("az")
	if err != nil {
		return hint(errors.New("az is not on the PATH"),
			"apt-get install --no-install-recommends azure-cli installs it on Debian; for others see https://learn.microsoft.com/cli/azure/install-azure-cli. Without --run the lines are printed, for another machine")
	}
	az := func(out io.Writer, in string, arguments ...string) error {
		cmd := exec.CommandContext(ctx, program, arguments...)
		cmd.Env = os.Environ()
		for _, v := range z.variables() {
			cmd.Env = append(cmd.Env, v[0]+"="+v[1])
		}
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), out, stderr
		if err := cmd.Run(); err != nil {
			verb, _, _ := strings.Cut(strings.Join(arguments, " "), " -")
			return fmt.Errorf("az %s: %w", verb, err)
		}
		return nil
	}
	var names bytes.Buffer
	if err := az(&names, "", "cloud", "list", "--query", "[].name", "-o", "tsv"); err != nil {
		return err
	}
	verb := "register"
	if slices.Contains(strings.Fields(names.String()), z.name) {
		verb = "update"
	}
	steps := [][]string{{"cloud", verb, "-n", z.name, "--cloud-config", z.cloud()}, {"cloud", "set", "-n", z.name}, z.login()}
	for _, arguments := range steps {
		in := ""
		if arguments[0] == "login" {
			in = z.caller.secret
		}
		fmt.Fprintln(stdout, line(arguments))
		if err := az(stdout, in, append(arguments, "-o", "none")...); err != nil {
			return err
		}
	}
	fmt.Fprintf(stdout, "\naz talks to %s, as client %s of tenant %s.\n", z.authority, z.caller.clientID, z.tenantID)
	if needs := z.variables(); len(needs) > 0 {
		fmt.Fprint(stdout, "Each shell that uses it needs\n\n")
		for _, v := range needs {
			fmt.Fprintf(stdout, "  export %s=%s\n", v[0], quote(v[1]))
		}
	}
	return nil
}
