package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/entente-id/entente/internal/server"
)

func newEnv() *cobra.Command {
	o := &struct {
		output
		dir string
	}{}
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Print export lines that point Azure SDKs in a shell at the service",
		Long: `Print export lines for the service of a data directory: where it is, the CA to
trust, and the administrator of its first start. Programs of that shell that use
an Azure SDK then talk to the service, as its administrator. AZURE_TENANT_ID is
"adfs", because that is how unmodified SDKs reach an authority of one's own; the
tenant's id is in ENTENTE_TENANT.

The lines hold the administrator's secret. While they count, curl and the SDKs
trust the service's CA instead of the public ones.`,
		Example: `  eval "$(entente env)"
  eval "$(entente env --data-dir ./data)"
  curl "$ENTENTE_URL/$ENTENTE_TENANT/v2.0/.well-known/openid-configuration"
  entente env -o jsonpath={.ENTENTE_CA}

  # in PowerShell
  (entente env -o json | ConvertFrom-Json).PSObject.Properties |
    ForEach-Object { Set-Item "Env:$($_.Name)" $_.Value }`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			admin, err := readAdmin(o.dir)
			if err != nil {
				return err
			}
			return printVariables(cmd.OutOrStdout(), o.output, variablesOf(admin))
		},
	}
	o.output.flags(cmd.Flags())
	cmd.Flags().StringVar(&o.dir, "data-dir", defaultDataDir(), "the service's data `DIR`")
	return cmd
}

func readAdmin(dir string) (server.Admin, error) {
	var admin server.Admin
	file := filepath.Join(dir, server.AdminFile)
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return admin, hint(missing(file), "it is made when a service with a local administrator starts for the first time: entente serve --data-dir %s", quote(dir))
	}
	if err != nil {
		return admin, err
	}
	if err := json.Unmarshal(text, &admin); err != nil {
		return admin, fmt.Errorf("read %s: %w", file, err)
	}
	return admin, nil
}

// missing is the error of a file that is not there.
type missing string

func (m missing) Error() string        { return "there is no " + string(m) }
func (m missing) Is(target error) bool { return target == fs.ErrNotExist }

// variablesOf are what programs need to talk to a service as its administrator.
func variablesOf(a server.Admin) (all [][2]string) {
	for _, v := range [][2]string{
		{"ENTENTE_URL", a.Authority},
		{"ENTENTE_TENANT", a.TenantID},
		{"ENTENTE_CA", a.CAFile},
		{"AZURE_AUTHORITY_HOST", a.Authority + "/"},
		{"AZURE_TENANT_ID", "adfs"},
		{"AZURE_SUBSCRIPTION_ID", a.SubscriptionID},
		{"AZURE_CLIENT_ID", a.ClientID},
		{"AZURE_CLIENT_SECRET", a.ClientSecret},
		{"SSL_CERT_FILE", a.CAFile},
		{"NODE_EXTRA_CA_CERTS", a.CAFile},
		{"REQUESTS_CA_BUNDLE", a.CAFile},
		{"CURL_CA_BUNDLE", a.CAFile},
	} {
		if v[1] != "" {
			all = append(all, v)
		}
	}
	return all
}

// printVariables prints export lines for a shell, or an object for other programs.
func printVariables(w io.Writer, o output, all [][2]string) error {
	object := map[string]string{}
	for _, v := range all {
		object[v[0]] = v[1]
	}
	if printed, err := o.document(w, object); printed {
		return err
	}
	for _, v := range all {
		line := "export " + v[0] + "=" + quote(v[1])
		if o == "name" {
			line = v[0]
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// quote makes a word for a POSIX shell.
func quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@%+,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
