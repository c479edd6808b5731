package journeys

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/roles"
)

// normal makes outputs the same on every machine and in every run: what differs
// from one to the next gets a name, and the same one each time. The names are as
// long as what they stand for, so that tables stay in their columns.
type normal struct {
	fixed []string // pairs of what is known and its name
	seen  map[string]string
	count map[string]int
}

func newNormal(workDir string) *normal {
	n := &normal{seen: map[string]string{}, count: map[string]int{}}
	n.replace(workDir, "$WORK")
	for _, d := range roles.BuiltIn() {
		n.seen[d.ID] = d.ID
	}
	n.seen[roles.GraphAppID] = roles.GraphAppID
	return n
}

// replace gives a text a name.
func (n *normal) replace(text, name string) { n.fixed = append(n.fixed, text, name) }

// address gives the port of a server on this machine another number, under each of
// the machine's names.
func (n *normal) address(server string, port int) {
	u, err := url.Parse(server)
	if err != nil {
		panic(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]"} {
		n.replace(host+":"+u.Port(), fmt.Sprintf("%s:%d", host, port))
	}
	n.replace(strconv.Quote(u.Port()), strconv.Quote(strconv.Itoa(port)))
}

// issuer names the hashes of an issuer that stand in names: azwi's, and in part the
// service's.
func (n *normal) issuer(url string) {
	sum := sha256.Sum256([]byte(url))
	hash := base64.URLEncoding.EncodeToString(sum[:])
	n.replace(hash, padded(hash, "HASH-OF-ISSUER"))
	n.replace("auto-"+hash[:20], "auto-"+padded(hash[:20], "HASH-OF-ISSUER"))
}

// name is what a text of a kind is called, by a format for the number of those that
// came before it.
func (n *normal) name(kind, text, format string) string {
	if _, ok := n.seen[text]; !ok {
		n.count[kind]++
		n.seen[text] = fmt.Sprintf(format, n.count[kind])
	}
	return n.seen[text]
}

// padded is a name of the length of what it stands for.
func padded(text, name string) string {
	if len(name) < len(text) {
		name += strings.Repeat(".", len(text)-len(name))
	}
	return name
}

// variable is what differs, by its looks, in the order in which it is looked for.
var variable = []struct {
	pattern *regexp.Regexp
	name    func(n *normal, text string) string
}{
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----`), func(*normal, string) string { return "PEM" }},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`), func(*normal, string) string { return "TOKEN" }},
	{regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), func(n *normal, text string) string {
		return n.name("id", text, "%08d-0000-0000-0000-000000000000")
	}},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?`), func(_ *normal, text string) string {
		return "2030-01-02" + text[10:11] + "03:04:05" + strings.TrimLeft(text[19:], ".0123456789")
	}},
	{regexp.MustCompile(`\b(127\.0\.0\.1|localhost):\d{5}\b`), func(n *normal, text string) string {
		if strings.HasSuffix(text, ":16443") || strings.HasSuffix(text, ":18443") {
			return text
		}
		host, _, _ := strings.Cut(text, ":")
		return host + ":" + n.name("port", text, "19%03d")
	}},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), func(n *normal, text string) string { return padded(text, n.name("sha256", text, "SHA256-%d")) }},
	{regexp.MustCompile(`[A-Za-z0-9_-]{43,}=*`), func(n *normal, text string) string {
		switch bare := strings.TrimRight(text, "="); {
		case len(bare) == 43:
			return padded(text, n.name("hash", text, "HASH-%d"))
		case len(bare) == len("azwi-")+43 && strings.HasPrefix(bare, "azwi-"):
			return padded(text, "azwi-"+n.name("hash", text, "HASH-%d"))
		case len(bare) > 150 && 4*strings.Count(bare, "-") < len(bare): // a line of a table is all dashes
			return "BASE64"
		}
		return text
	}},
	{regexp.MustCompile(`-[0-9a-f]{8}\b(-|\.)?`), func(n *normal, text string) string { // the end of a name, by issuer and subject
		if len(text) > 9 {
			return text
		}
		return n.name("suffix", text, "-%08d")
	}},
	{regexp.MustCompile(`\bentente-[a-z]+-\d{6,}\b`), func(_ *normal, text string) string { return strings.TrimRight(text, "0123456789") + "N" }},
	{regexp.MustCompile(`\([0-9.]+(µs|ms|s), request`), func(*normal, string) string { return "(1ms, request" }},
	{regexp.MustCompile(`for another [0-9hms]+`), func(*normal, string) string { return "for another while" }},
	{regexp.MustCompile(`\b\d+\.\d+s\b`), func(*normal, string) string { return "0.00s" }},
	{regexp.MustCompile(`\b(INFO|WARN|ERRO|FATA|DEBU)\[\d{4}\]`), func(_ *normal, text string) string { return text[:4] + "[0000]" }},
	{regexp.MustCompile(`(?m)\b(devel(-[0-9a-f]{12}(-modified)?)?|v\d+\.\d+\.\d+-[0-9A-Za-z.-]+(\+dirty)?)( |$)`), func(_ *normal, text string) string {
		return "VERSION" + text[len(strings.TrimRight(text, " ")):]
	}},
}

// text is an output made normal. A last line that has no end gets one, because
// sections of scripts have it.
func (n *normal) text(text string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	text = strings.NewReplacer(n.fixed...).Replace(text)
	for _, v := range variable {
		text = v.pattern.ReplaceAllStringFunc(text, func(found string) string { return v.name(n, found) })
	}
	return text
}

func TestNormal(t *testing.T) {
	t.Parallel()
	n := newNormal("/tmp/x")
	n.address("https://127.0.0.1:23456", 16443)
	for in, want := range map[string]string{
		"/tmp/x/a": "$WORK/a",
		"https://127.0.0.1:23456/ https://127.0.0.1:1/ localhost:23456":         "https://127.0.0.1:16443/ https://127.0.0.1:1/ localhost:16443",
		"5f2c0bde-1111-4222-8333-444455556666":                                  "00000001-0000-0000-0000-000000000000",
		"at 2026-11-22T04:07:40.123Z":                                           "at 2030-01-02T03:04:05Z",
		"INFO[0003] made":                                                       "INFO[0000] made",
		"a name of words-that-go-on-and-on-and-on-until-there-are-many-of-them": "a name of words-that-go-on-and-on-and-on-until-there-are-many-of-them",
		roles.GraphAppID:                                                        roles.GraphAppID,
	} {
		if got := n.text(in); got != want+"\n" {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
