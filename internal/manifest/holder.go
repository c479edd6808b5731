package manifest

import (
	"strings"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/roles"
)

// holder checks the credentials and assignments of an application or identity.
func (c *checker) holder(h *Holder, kind credential.ParentKind) {
	names, pairs := seen{}, seen{}
	for i := range h.FederatedCredentials {
		f := &h.FederatedCredentials[i]
		c.credential(f, kind)
		name := f.Name
		if kind == credential.ManagedIdentity {
			name = strings.ToLower(name) // as all names in Resource Manager
		}
		c.once(names, f.Place, "name", name)
		if f.Issuer == "" || f.Subject == "" {
			continue
		}
		if first := pairs.note(f.Issuer+" "+f.Subject, f.Line); first > 0 {
			c.add(f.Place, "subject", "the credential on line %d has the same issuer and subject", first)
		}
	}
	grants := seen{}
	for i := range h.AppRoleAssignments {
		a := &h.AppRoleAssignments[i]
		c.text(a.Place, "resource", a.Resource, true, maxName)
		c.text(a.Place, "role", a.Role, a.Has("role"), maxText)
		if first := grants.note(a.Resource+"\n"+a.Role, a.Line); first > 0 {
			c.add(a.Place, "", "stands twice, first on line %d", first)
		}
	}
	assignments := seen{}
	for i := range h.RoleAssignments {
		a := &h.RoleAssignments[i]
		c.text(a.Place, "role", a.Role, true, maxName)
		c.scope(a)
		if first := assignments.note(strings.ToLower(a.Role+"\n"+a.Scope+"\n"+a.ResourceGroup), a.Line); first > 0 {
			c.add(a.Place, "", "stands twice, first on line %d", first)
		}
	}
}

func (c *checker) scope(a *RoleAssignment) {
	switch p := a.Place; {
	case p.Has("scope") && p.Has("resourceGroup"):
		c.add(p, "resourceGroup", "cannot stand beside scope")
	case p.Has("resourceGroup"):
		c.shape(p, "resourceGroup", a.ResourceGroup, true, isGroupName, wantGroup)
	case !p.Has("scope"):
		c.add(p, "scope", "is missing: give an id such as /subscriptions/…, %s, / for everything, or a resourceGroup", Subscription)
	case c.given(p, "scope", true) && a.Scope != Subscription:
		if !roles.Covers("/", a.Scope) || len(a.Scope) > maxScope {
			c.add(p, "scope", "%s should be an id such as /subscriptions/…, %s, or / for everything", quote(a.Scope), Subscription)
		}
	}
}

// sound is a credential that breaks no rule, in which one field at a time is
// replaced by what is checked: so that all problems are found, and not the first.
func sound() credential.Spec {
	return credential.Spec{Name: "name", Issuer: "https://issuer.example/", Subject: "subject", Audiences: []string{credential.DefaultAudience}}
}

func (c *checker) credential(f *FederatedCredential, kind credential.ParentKind) {
	p := f.Place
	check := func(field string, set func(*credential.Spec)) {
		s := sound()
		set(&s)
		c.violation(p, field, s.Validate(kind))
	}
	if c.given(p, "name", true) {
		check("name", func(s *credential.Spec) { s.Name = f.Name })
		c.owned(f)
	}
	if c.given(p, "issuer", true) {
		url, named := c.issuers[f.Issuer]
		switch {
		case named:
			f.Issuer = url // whose own problems are told where it stands
		case f.Issuer != "" && !strings.ContainsAny(f.Issuer, ":/"):
			c.add(p, "issuer", "%s is no URL, and no issuer of this file has that name", quote(f.Issuer))
		default:
			check("issuer", func(s *credential.Spec) { s.Issuer = f.Issuer })
		}
	}
	f.Subject = c.subject(p, f.Subject, f.ServiceAccount)
	if !p.Has("audiences") {
		f.Audiences = []string{credential.DefaultAudience}
	} else if !p.bad["audiences"] {
		check("audiences", func(s *credential.Spec) { s.Audiences = f.Audiences })
	}
	if c.given(p, "description", false) {
		check("description", func(s *credential.Spec) { s.Description = f.Description })
	}
}

// subject returns the subject that one of two fields states.
func (c *checker) subject(p Place, subject, serviceAccount string) string {
	switch {
	case p.Has("serviceAccount") && p.Has("subject"):
		c.add(p, "serviceAccount", "cannot stand beside subject, which it fills in")
	case p.Has("serviceAccount"):
		if !c.given(p, "serviceAccount", true) {
			return ""
		}
		namespace, name, _ := strings.Cut(serviceAccount, "/")
		subject = credential.ServiceAccountSubject(namespace, name)
		if _, _, ok := credential.ParseServiceAccountSubject(subject); !ok {
			c.add(p, "serviceAccount", "%s should be NAMESPACE/NAME, as Kubernetes has them", quote(serviceAccount))
			return ""
		}
	case !p.Has("subject"):
		c.add(p, "subject", "is missing: give it, or serviceAccount: NAMESPACE/NAME")
	case c.given(p, "subject", true):
		s := sound()
		s.Subject = subject
		c.violation(p, "subject", s.Validate(credential.Application))
	}
	return subject
}
