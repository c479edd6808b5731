//go:build unix

package browser

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/entente-id/entente/internal/testkit"
)

//go:embed axe/package.json axe/package-lock.json
var axePackage embed.FS

// axe is the text of axe-core.
var axe = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "entente-axe-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := axePackage.ReadFile("axe/" + name)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return "", err
		}
	}
	packages, err := testkit.NodePackages(dir)
	if err != nil {
		return "", fmt.Errorf("axe-core cannot be had: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(packages, "axe-core", "axe.min.js"))
	return string(text), err
})

// A Violation is a rule of accessibility that a page breaks.
type Violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		Target  []any
		HTML    string
		Summary string `json:"failureSummary"`
	}
}

func (v Violation) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s (%s): %s", v.ID, v.Impact, v.Help)
	for _, n := range v.Nodes {
		fmt.Fprintf(&out, "\n\t%v: %s\n\t\t%s", n.Target, n.HTML, strings.ReplaceAll(n.Summary, "\n", "\n\t\t"))
	}
	return out.String()
}

// Violations are what axe-core finds on the page as it stands, by the rules of
// WCAG 2.0, 2.1 and 2.2, levels A and AA, and by its best practices. Where
// axe-core cannot be had the test is skipped, or fails when CI=true.
func (b *Browser) Violations() []Violation {
	b.t.Helper()
	source, err := axe()
	if err != nil {
		Missing(b.t, err)
	}
	b.still()
	ctx, cancel := b.limited()
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[chromedp.Void](source)); err != nil {
		b.fatal("load axe-core: %v", err)
	}
	var found []Violation
	patient := *b
	patient.Patience = max(b.Patience, time.Minute)
	patient.Eval(`axe.run(document, {
		runOnly: {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]},
		resultTypes: ["violations"],
	}).then(r => r.violations)`, &found)
	return found
}

// Axe fails the test when axe-core finds anything.
func (b *Browser) Axe() {
	b.t.Helper()
	for _, v := range b.Violations() {
		b.t.Errorf("at %s: %s", b.URL(), v)
	}
}
