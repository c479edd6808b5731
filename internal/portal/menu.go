package portal

import "strings"

// menuGroup is a part of the portal's menu.
type menuGroup struct {
	Text  string // may be empty
	Links []link
}

// seeApplications are the permissions of which one shows applications.
var seeApplications = []string{"Application.Read.All", "Application.ReadWrite.All", "Application.ReadWrite.OwnedBy", "Directory.Read.All", "Directory.ReadWrite.All"}

// menu is what the caller may open. An entry is current on its own page and on those below it.
func (c *call) menu() []menuGroup {
	all := []menuGroup{
		{"", []link{{Text: "Home", To: Path}}},
		{"Identities", []link{
			{Text: "App registrations", To: Path + "/applications"},
			{Text: "Managed identities", To: Path + "/identities"},
			{Text: "Resource groups", To: Path + "/groups"},
			{Text: "Role assignments", To: Path + "/roles"},
		}},
		{"Trust", []link{
			{Text: "Clusters", To: Path + "/clusters"},
			{Text: "Issuers", To: Path + "/issuers"},
			{Text: "Signing keys", To: Path + "/signing-keys"},
		}},
		{"Insight", []link{
			{Text: "Test a token", To: Path + "/test"},
			{Text: "Sign-ins", To: Path + "/sign-ins"},
			{Text: "Audit log", To: Path + "/audit"},
		}},
		{"", []link{{Text: "Settings", To: Path + "/settings"}}},
	}
	need := map[string]string{
		Path + "/issuers":      "Entente.Federation/issuers/read",
		Path + "/signing-keys": "Entente.Federation/signingKeys/read",
		Path + "/sign-ins":     "Entente.Federation/signIns/read",
		Path + "/audit":        "Entente.Federation/auditEvents/read",
	}
	at := strings.TrimSuffix(c.r.URL.Path, "/")
	var menu []menuGroup
	for _, g := range all {
		var links []link
		for _, l := range g.Links {
			if action := need[l.To]; action != "" && !c.rights.Can(action, "/") || l.To == applicationsPath && !c.rights.Has(seeApplications...) {
				continue
			}
			l.Current = at == l.To || l.To != Path && strings.HasPrefix(at, l.To+"/")
			links = append(links, l)
		}
		if len(links) > 0 {
			menu = append(menu, menuGroup{g.Text, links})
		}
	}
	return menu
}
