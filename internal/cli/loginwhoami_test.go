package cli

import (
	"bytes"
	"testing"
)

// What somebody holds is in order, and their login in the words that a context has for it.
func TestSomebody(t *testing.T) {
	w := somebody{
		Service: "https://x.example", ClientID: "ID", Login: "secret",
		Roles:       []heldRole{{"Reader", "/b"}, {"Owner", "/"}, {"Reader", "/a"}},
		Permissions: []heldRole{{"Directory.Read.All", "Graph"}, {"Application.Read.All", "Graph"}},
	}
	w.sort()
	var out bytes.Buffer
	if err := somebodyView.one(&out, "jsonpath={.login}{range .roles[*]} {.role}{.scope}{end}{range .permissions[*]} {.role}{end}", w); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "secret Owner/ Reader/a Reader/b Application.Read.All Directory.Read.All"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, d := range somebodyView.details(w) {
		if d[0] == "Login" && d[1] != "client secret of ID" {
			t.Errorf("login: %s", d[1])
		}
	}
}
