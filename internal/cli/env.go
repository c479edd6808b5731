package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/entente-id/entente/internal/server"
)

func newEnv() *cobra.Command {
	var dir string
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
  curl "$ENTENTE_URL/$ENTENTE_TENANT/v2.0/.well-known/openid-configuration"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			admin, err := readAdmin(dir)
			if err != nil {
				return err
			}
			for _, line := range exports(admin) {
				fmt.Fprintln(cmd.OutOrStdout(), line)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "data-dir", defaultDataDir(), "the service's data `DIR`")
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

func exports(a server.Admin) []string {
	var lines []string
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
			lines = append(lines, "export "+v[0]+"="+quote(v[1]))
		}
	}
	return lines
}

// quote makes a word for a POSIX shell.
func quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@%+,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
