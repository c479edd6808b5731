package directory_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

func TestTrustingCredentials(t *testing.T) {
	each(t, func(w *world) {
		w.group("Team")
		w.group("Other")
		add := func(p directory.Parent, name, url, subject string) {
			_, err := w.dir.AddCredential(w.ctx(), w.admin, p, credential.Spec{Name: name, Issuer: url, Subject: subject, Audiences: []string{credential.DefaultAudience}})
			w.ok(err)
		}
		app, gone := w.app("app"), w.app("gone")
		one, two := w.identity("Team", "one"), w.identity("Other", "two")
		add(parentApp(app), "in-app", issuerURL, "repo:a/b:ref:refs/heads/main")
		add(parentApp(app), "elsewhere", issuerURL+"x", "s1")
		add(parentApp(gone), "of-gone", issuerURL, "s1")
		add(parentIdentity(one), "in-one", issuerURL, "s1")
		add(parentIdentity(two), "in-two", issuerURL, "s2")
		w.ok(w.dir.DeleteApplication(w.ctx(), w.admin, directory.Ref{ID: gone.ID}))

		list := func(c directory.Caller, search string, subjects ...string) string {
			w.Helper()
			var texts []string
			page := directory.Page{Limit: 1, Search: search, Count: true}
			for {
				p, err := w.dir.TrustingCredentials(w.ctx(), c, issuerURL, subjects, page)
				w.ok(err)
				for _, f := range p.Items {
					text := f.ParentName + "/" + f.Name
					if f.Parent.Identity != nil {
						text = f.Parent.Identity.Group + "/" + text
					}
					texts = append(texts, text)
				}
				if page.After = p.Next; p.Next == "" {
					if p.Total != len(texts) {
						w.Errorf("counted %d of %d", p.Total, len(texts))
					}
					return strings.Join(texts, " ")
				}
			}
		}
		group := fmt.Sprintf("/subscriptions/%s/resourceGroups/Team", w.subscription)
		reader := w.holder("reader", roles.Reader, group).Caller
		owner := w.client("owner", "Application.ReadWrite.OwnedBy")
		mine, err := w.dir.CreateApplication(w.ctx(), owner.Caller, directory.Application{DisplayName: "mine"})
		w.ok(err)
		add(parentApp(mine), "in-mine", issuerURL, "s3")
		for _, c := range []struct {
			what     string
			caller   directory.Caller
			search   string
			subjects []string
			want     string
		}{
			{what: "all", caller: w.admin, want: "app/in-app Team/one/in-one Other/two/in-two mine/in-mine"},
			{what: "subjects", caller: w.admin, subjects: []string{"s1", "s3", "s1"}, want: "Team/one/in-one mine/in-mine"},
			{what: "a part of a subject", caller: w.admin, search: "A/B", want: "app/in-app"},
			{what: "a name", caller: w.admin, search: "in-one", want: ""},
			{what: "nothing", caller: w.admin, search: "%", want: ""},
			{what: "a reader of a group", caller: reader, want: "Team/one/in-one"},
			{what: "a person who reads a group", caller: directory.Caller{Kind: directory.PortalCaller, TenantID: w.tenant.ID, Name: "ada", Roles: []directory.PortalRole{{Name: "Reader", Scope: group}}}, want: "Team/one/in-one"},
			{what: "a person who reads all resources", caller: directory.Caller{Kind: directory.PortalCaller, TenantID: w.tenant.ID, Name: "ada", Roles: []directory.PortalRole{{Name: "Reader"}}}, want: "Team/one/in-one Other/two/in-two"},
			{what: "an owner", caller: owner.Caller, want: "mine/in-mine"},
			{what: "nobody", caller: w.client("nobody").Caller, want: ""},
		} {
			if got := list(c.caller, c.search, c.subjects...); got != c.want {
				w.Errorf("%s: %q, want %q", c.what, got, c.want)
			}
		}
		all, err := w.dir.TrustingCredentials(w.ctx(), w.admin, issuerURL, nil, directory.Page{Limit: 10, Count: true, Most: 2})
		if w.ok(err); all.Total != 2 || !all.More || len(all.Items) != 4 {
			w.Errorf("counted to 2: %d, %v, %d", all.Total, all.More, len(all.Items))
		}
	})
}
