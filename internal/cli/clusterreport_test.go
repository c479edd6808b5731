package cli

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/client"
)

// apiOf is an API server of which a test answers the requests, as a kubeconfig.
func apiOf(t *testing.T, answer http.HandlerFunc) (kubeconfig string) {
	t.Helper()
	s := httptest.NewTLSServer(answer)
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	kubeconfig = filepath.Join(t.TempDir(), "config")
	write(t, kubeconfig, fmt.Appendf(nil, `{"clusters":[{"name":"lab","cluster":{"server":%q,"certificate-authority-data":%q}}],"users":[{"name":"me","user":{"token":"t"}}],
		"contexts":[{"name":"lab","context":{"cluster":"lab","user":"me"}}],"current-context":"lab"}`, s.URL, base64.StdEncoding.EncodeToString(ca)))
	return kubeconfig
}

// accountList is a list in Kubernetes' words, of names from one number up to another.
func accountList(from, to int, more string) string {
	items := []any{}
	for i := from; i < to; i++ {
		items = append(items, map[string]any{"metadata": map[string]any{"namespace": "pets", "name": fmt.Sprintf("sa-%d", i)}})
	}
	text, _ := json.Marshal(map[string]any{"kind": "ServiceAccountList", "apiVersion": "v1", "metadata": map[string]any{"continue": more}, "items": items})
	return string(text)
}

func status(code int, reason string) string {
	return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"message":"no","code":%d}`, reason, code)
}

// What is read of a cluster comes in pages, and a page may be refused.
func TestServiceAccountsOfACluster(t *testing.T) {
	const id = "99999999-9999-4999-8999-999999999999"
	gone, denied := status(410, "Expired"), status(403, "Forbidden")
	annotated := func(value string) string {
		return `{"kind":"ServiceAccountList","apiVersion":"v1","items":[{"metadata":{"namespace":"pets","name":"cat","annotations":{"azure.workload.identity/client-id":"` + value + `"}}}]}`
	}
	for name, tt := range map[string]struct {
		pages []string // in the order of the requests; one that begins with "Status" is a refusal
		asked string   // the continue of each request
		want  int
		fails string
	}{
		"none":                 {[]string{accountList(0, 0, "")}, "", 0, ""},
		"one page":             {[]string{accountList(0, 3, "")}, "", 3, ""},
		"three pages":          {[]string{accountList(0, 500, "a"), accountList(500, 1000, "b"), accountList(1000, 1001, "")}, " a b", 1001, ""},
		"forgotten":            {[]string{accountList(0, 500, "a"), gone, accountList(0, 500, "b"), accountList(500, 502, "")}, " a  b", 502, ""},
		"forgotten twice":      {[]string{accountList(0, 500, "a"), gone, accountList(0, 500, "b"), gone}, " a  b", 0, "list the service accounts"},
		"not allowed":          {[]string{denied}, "", 0, "list the service accounts"},
		"without end":          {nil, "", 0, "more than 50000"},
		"a client id":          {[]string{annotated(id)}, "", 1, ""},
		"a client id of words": {[]string{annotated("cat")}, "", 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			kubeconfig := apiOf(t, func(w http.ResponseWriter, r *http.Request) {
				n := len(asked)
				asked = append(asked, r.URL.Query().Get("continue"))
				w.Header().Set("Content-Type", "application/json")
				if r.URL.Path != "/api/v1/serviceaccounts" || r.URL.Query().Get("limit") != "500" {
					t.Errorf("asked for %s", r.URL)
				}
				text := accountList(n*500, n*500+500, "more")
				if tt.pages != nil {
					text = tt.pages[n]
				}
				if strings.HasPrefix(text, `{"kind":"Status"`) {
					var s struct{ Code int }
					json.Unmarshal([]byte(text), &s)
					w.WriteHeader(s.Code)
				}
				fmt.Fprint(w, text)
			})
			api, err := openKubernetes(kubeconfig, "")
			if err != nil {
				t.Fatal(err)
			}
			all, err := serviceAccountsOf(t.Context(), api)
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Errorf("got %d and %v, want %q", len(all), err, tt.fails)
				}
				return
			}
			if err != nil || len(all) != tt.want {
				t.Fatalf("got %d and %v, want %d", len(all), err, tt.want)
			}
			if got := strings.Join(asked, " "); got != tt.asked {
				t.Errorf("asked for %q, want %q", got, tt.asked)
			}
			switch name {
			case "a client id":
				if diff := cmp.Diff([]client.ServiceAccount{{Namespace: "pets", Name: "cat", ClientID: id}}, all); diff != "" {
					t.Error(diff)
				}
			case "a client id of words":
				if all[0].ClientID != "" {
					t.Errorf("got %+v", all[0])
				}
			case "forgotten":
				if all[0].Name != "sa-0" || all[501].Name != "sa-501" {
					t.Errorf("from %s to %s", all[0].Name, all[501].Name)
				}
			}
		})
	}
	if !isMistake(forbidden(t)) {
		t.Error("a ClusterRole that is missing is none of a person's to mend")
	}
}

// forbidden is the error of who may not list service accounts.
func forbidden(t *testing.T) error {
	t.Helper()
	api, err := openKubernetes(apiOf(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(403)
		fmt.Fprint(w, status(403, "Forbidden"))
	}), "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = serviceAccountsOf(t.Context(), api)
	if h, ok := errors.AsType[*hinted](err); !ok || !strings.Contains(h.hint, "ClusterRole") {
		t.Errorf("no hint: %v", err)
	}
	return err
}

func TestReportWords(t *testing.T) {
	for want, r := range map[string]client.ServiceAccountReport{
		"unchanged":                            {ServiceAccounts: 3},
		"1 added":                              {Added: 1},
		"2 added, 3 removed, 1 annotated anew": {Added: 2, Removed: 3, AnnotatedAnew: 1},
	} {
		if got := (clusterReport{ServiceAccountReport: r}); got.changes() != want || got.changed() != (want != "unchanged") {
			t.Errorf("%+v is %q, %v", r, got.changes(), got.changed())
		}
	}
	for args, want := range map[string]int{"--every 10ms": exitUsage, "--every 0s": exitUsage, "--every 5m --dry-run": exitUsage, "--log-format x": exitUsage} {
		if code, _, text := run(t, append([]string{"cluster", "report", "prod", "-g", "pets"}, strings.Fields(args)...)...); code != want {
			t.Errorf("%s: %d\n%s", args, code, text)
		}
	}
}
