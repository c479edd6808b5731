package portal

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/directory"
)

func (w *world) readApplication(id string) directory.Application {
	w.t.Helper()
	app, err := w.dir.Application(w.t.Context(), w.admin, directory.Ref{ID: id})
	w.must(err)
	return app
}

func TestClientSecrets(t *testing.T) {
	w := newWorld(t)
	app := w.register("shop")
	_, err := w.dir.CreateServicePrincipal(t.Context(), w.admin, directory.NewPrincipal{AppID: app.AppID})
	w.must(err)
	at := "/portal/applications/" + app.ID
	p := w.signIn(w.admin)
	a := p.get(at + "/credentials?tab=secrets")
	p.shows(a, http.StatusOK, "Certificates & secrets", "Federated credentials (0)", "Client secrets (0)", "Certificates (0)", "This application has no client secret.", "Add client secret")

	// The text is shown by the answer, and never again.
	a = p.post(at+"/secrets", "description", "the shop", "days", "90")
	app = w.readApplication(app.ID)
	if len(app.Secrets) != 1 {
		t.Fatalf("%d secrets were made", len(app.Secrets))
	}
	secret := app.Secrets[0]
	if want := w.clock.Now().AddDate(0, 0, 90); secret.DisplayName != "the shop" || !secret.End.Equal(want.Truncate(time.Millisecond)) {
		t.Errorf("made %+v, want the end %s", secret, want)
	}
	p.shows(a, http.StatusOK, "The client secret was made", "This is the only time that it is shown.", secret.ID, app.AppID, "Client secrets (1)")
	_, text, _ := strings.Cut(a.body, `id="copy-secret">`)
	text, _, _ = strings.Cut(text, "<")
	if _, result, err := w.dir.MatchSecret(t.Context(), testTenant, app.AppID, text); err != nil || result != directory.SecretOK {
		t.Errorf("the shown text is no secret: %v %v", result, err)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Error("the answer may be kept")
	}
	p.sentTo(p.get(at+"/secrets"), at+"/credentials?tab=secrets") // the answer, asked for again
	a = p.get(at + "/credentials?tab=secrets")
	p.shows(a, http.StatusOK, "the shop", secret.Hint+"…")
	p.hides(a, text, "Expires soon")
	w.clock.Advance(50 * time.Minute)
	p.get(at)
	w.clock.Advance(50 * time.Minute)

	for _, c := range []struct {
		days, description, says string
	}{
		{"", "kept", "Choose one of these lifetimes."}, {"99999", "kept", "Choose one of these lifetimes."}, {"90", "kept" + strings.Repeat("x", 256), "Is longer than 256 characters."},
	} {
		a := p.post(at+"/secrets", "description", c.description, "days", c.days)
		p.shows(a, http.StatusUnprocessableEntity, c.says, "Nothing was made")
		if !strings.Contains(a.body, `value="kept`) {
			t.Error("what was typed is lost")
		}
	}
	if n := len(w.readApplication(app.ID).Secrets); n != 1 {
		t.Errorf("refused forms made secrets: %d", n)
	}

	remove := at + "/secrets/" + secret.ID + "/delete"
	p.shows(p.get(remove), http.StatusOK, "Remove this client secret?", "the shop", "is refused from its next request on", secret.Hint+"…")
	a = p.post(remove)
	p.sentTo(a, at+"/credentials?tab=secrets&done=removed")
	p.shows(p.get(a.header.Get("Location")), http.StatusOK, "The client secret was removed.", "Client secrets (0)")
	p.shows(p.get(remove), http.StatusNotFound, "It is not there")
	p.shows(p.post(remove), http.StatusNotFound, "It is not there")
}

func TestClientSecretsOfOthers(t *testing.T) {
	w := newWorld(t)
	app := w.register("shop")
	secret, _, err := w.dir.AddSecret(t.Context(), w.admin, directory.Ref{ID: app.ID}, directory.NewSecret{DisplayName: hostile, End: w.clock.Now().Add(time.Minute)})
	w.must(err)
	at := "/portal/applications/" + app.ID
	w.clock.Advance(2 * time.Minute)
	auditor := w.auditor()
	a := auditor.get(at + "/credentials?tab=secrets")
	auditor.shows(a, http.StatusOK, hostile, "Expired")
	auditor.hides(a, "Remove", "Add client secret", "<script>alert", "<img src=x")
	auditor.shows(auditor.post(at+"/secrets", "description", "mine", "days", "90"), http.StatusForbidden, "It takes the right microsoft.directory/applications/credentials/update")
	auditor.shows(auditor.post(at+"/secrets/"+secret.ID+"/delete"), http.StatusForbidden, "You may not do this")
	if n := len(w.readApplication(app.ID).Secrets); n != 1 {
		t.Errorf("%d secrets", n)
	}
	auditor.shows(auditor.get(at), http.StatusOK, "1 1 expired Client secrets")
}
