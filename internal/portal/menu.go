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
			{Text: "App registrations", To: applicationsPath},
			{Text: "Managed identities", To: identitiesPath},
			{Text: "Resource groups", To: groupsPath},
			{Text: "Role assignments", To: roleList},
		}},
		{"Trust", []link{
			{Text: "Clusters", To: clustersPath},
			{Text: "Issuers", To: issuersPath},
			{Text: "Signing keys", To: signingKeysPath},
		}},
		{"Insight", []link{
			{Text: "Test a token", To: tokenTestPath},
			{Text: "Sign-ins", To: signInLogPath},
			{Text: "Audit log", To: auditPath},
		}},
		{"", []link{{Text: "Settings", To: Path + "/settings"}}},
	}
	need := map[string]string{
		issuersPath:     issuerAction + "read",
		signingKeysPath: signingKeyAction + "read",
		signInLogPath:   readSignIns,
		auditPath:       "Entente.Federation/auditEvents/read",
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
