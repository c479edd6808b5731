// Package manifest renders the chart into plain manifests.
//
// Who has no Helm, or reads what is installed before installing it, gets the
// same objects as everybody else: the chart is the one source, and a test says
// when the files are behind it.
package manifest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/entente-id/entente/deploy/internal/helm"
	"github.com/entente-id/entente/deploy/internal/tree"
)

// Namespace is that of the manifests.
const Namespace = "entente-system"

// Directory holds the manifests, below the root.
const Directory = "deploy/manifests"

// A Manifest is a file with objects.
type Manifest struct {
	Name  string // of the file, and of its values
	About string // comment at its start
}

// All are the manifests that there are.
func All() []Manifest {
	return []Manifest{
		{"webhook-azure.yaml", `The webhook, for pods that get tokens from Azure.

  AZURE_TENANT_ID=$(az account show --query tenantId -o tsv) envsubst '$AZURE_TENANT_ID' < webhook-azure.yaml | kubectl apply -f -`},
		{"webhook-entente.yaml", `The webhook, for pods that get tokens from an Entente elsewhere. The ConfigMap entente-authority-ca in the
namespace entente-system holds its CA in the key ca.crt.

  export AZURE_TENANT_ID=… AZURE_AUTHORITY_HOST=https://entente.example.org/
  envsubst '$AZURE_TENANT_ID $AZURE_AUTHORITY_HOST' < webhook-entente.yaml | kubectl apply -f -`},
		{"complete.yaml", `The service on SQLite, trusting this cluster, and the webhook for it. The Secret entente-tls in the namespace
entente-system holds tls.crt, tls.key and ca.crt, for entente.entente-system.svc. AZURE_TENANT_ID is a GUID of your own.

  AZURE_TENANT_ID=$(uuidgen) envsubst '$AZURE_TENANT_ID' < complete.yaml | kubectl apply -f -`},
		{"complete-postgresql.yaml", `The same with two replicas of the service on PostgreSQL. The Secret entente-db holds its postgres:// URL in the key
url, entente-kek 32 random bytes as base64 in the key key-encryption-key. The administrator is the service account
entente-admin of the namespace entente-system, of a cluster with kubeadm's own issuer.

  AZURE_TENANT_ID=$(uuidgen) envsubst '$AZURE_TENANT_ID' < complete-postgresql.yaml | kubectl apply -f -`},
	}
}

// Render renders a manifest.
func (m Manifest) Render(ctx context.Context, h *helm.Helm, root string) ([]byte, error) {
	text, err := h.Run(ctx, "template", "entente", filepath.Join(root, tree.ChartDirectory), "--namespace", Namespace,
		"--values", filepath.Join(root, Directory, "values", m.Name), "--no-hooks")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	var b bytes.Buffer
	for line := range strings.Lines(m.About + "\n\nMade from the chart by: go run ./deploy/manifests\n") {
		b.WriteString(strings.TrimRight("# "+strings.TrimSuffix(line, "\n"), " ") + "\n")
	}
	// A Namespace is not the chart's, since Helm makes it.
	fmt.Fprintf(&b, `---
apiVersion: v1
kind: Namespace
metadata:
  name: %s
  labels:
    pod-security.kubernetes.io/enforce: restricted
`, Namespace)
	for line := range strings.Lines(string(text)) {
		switch trimmed := strings.TrimSpace(line); {
		case strings.HasPrefix(trimmed, "helm.sh/chart:"), trimmed == "app.kubernetes.io/managed-by: Helm", strings.HasPrefix(trimmed, "# Source:"), trimmed == "":
		default:
			b.WriteString(strings.TrimRight(line, " \n") + "\n")
		}
	}
	return b.Bytes(), nil
}

// WriteAll renders all manifests into a directory.
func WriteAll(ctx context.Context, h *helm.Helm, root, directory string) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	for _, m := range All() {
		text, err := m.Render(ctx, h, root)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(directory, m.Name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
