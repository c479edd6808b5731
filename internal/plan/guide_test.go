package plan_test

import (
	"os"
	"strings"
	"testing"

	"github.com/entente-id/entente/client"
)

// The guide's file is applied literally, to both, and the guide's plan is what
// comes out when somebody has been there before.
func TestGuide(t *testing.T) {
	text, err := os.ReadFile("../../docs/guides/apply.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	file, rest, _ := strings.Cut(rest, "```")
	_, rest, _ = strings.Cut(rest, "```\n")
	shown, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the guide has no plan")
	}
	for _, w := range []*world{newWorld(t), newAzure(t)} {
		w.settle(file, prune)
		app := w.application("pets-worker").ID
		w.ok(w.admin.UpdateApplicationCredential(t.Context(), app, "pets--cluster", client.FederatedCredentialUpdate{Issuer: "https://oidc.example.org/old/"}))
		w.ok(w.admin.DeleteApplicationCredential(t.Context(), app, "pets--github"))
		w.trust("pets-worker", "gh", "https://token.actions.githubusercontent.com", "repo:octo-org/pets:environment:prod")
		want := shown
		if w.front == nil {
			want = strings.Replace(want, "6 unchanged", "7 unchanged", 1) // with the issuer
		}
		if got := show(t, w.plans(file, prune)); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		w.settle(file, prune)
	}
	_, rest, _ = strings.Cut(string(text), "## Removing")
	_, rest, _ = strings.Cut(rest, "```yaml\n")
	file, _, _ = strings.Cut(rest, "```")
	newWorld(t).settle(file, prune)
}
