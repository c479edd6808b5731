package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/manifest"
)

// fields is a mapping that is being written.
type fields struct{ yaml.Node }

func newFields() *fields { return &fields{yaml.Node{Kind: yaml.MappingNode}} }

// add writes a field unless its value is zero.
func (f *fields) add(name string, value any) *fields {
	var n yaml.Node
	switch v := value.(type) {
	case string:
		if v == "" {
			return f
		}
		n = *scalar(v)
	case []string:
		if len(v) == 0 {
			return f
		}
		n = yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, s := range v {
			n.Content = append(n.Content, scalar(s))
		}
	case map[string]string:
		if len(v) == 0 {
			return f
		}
		m := newFields()
		m.Style = yaml.FlowStyle
		for _, key := range slices.Sorted(maps.Keys(v)) {
			m.put(key, scalar(v[key]))
		}
		n = m.Node
	case []*fields:
		if len(v) == 0 {
			return f
		}
		n.Kind = yaml.SequenceNode
		for _, e := range v {
			n.Content = append(n.Content, &e.Node)
		}
	case *fields:
		if len(v.Content) == 0 {
			return f
		}
		n = v.Node
	case int:
		if v == 0 {
			return f
		}
		n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(v)}
	case bool:
		n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	case json.RawMessage:
		var document yaml.Node
		if yaml.Unmarshal(v, &document) != nil || len(document.Content) == 0 { // JSON is YAML
			return f
		}
		n = *document.Content[0]
		plainJSON(&n)
	}
	f.put(name, &n)
	return f
}

// scalar is a text, in quotes where a reader of YAML 1.1 or 1.2 needs them.
func scalar(text string) *yaml.Node {
	var n yaml.Node
	_ = n.Encode(text) // a text always has YAML
	return &n
}

// plainJSON takes JSON's brackets and quotes off where YAML does not need them.
func plainJSON(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		*n = *scalar(n.Value)
	}
	n.Style &^= yaml.FlowStyle
	for _, c := range n.Content {
		plainJSON(c)
	}
}

func (f *fields) put(name string, value *yaml.Node) {
	f.Content = append(f.Content, scalar(name), value)
}

// comment puts a word behind the field that was added last.
func (f *fields) comment(text string) *fields {
	f.Content[len(f.Content)-1].LineComment = oneLine(text)
	return f
}

// write makes the manifest, and leaves out what would not be one.
func (x *exporter) write() ([]byte, error) {
	root := newFields()
	root.add("version", manifest.SchemaVersion)
	policy := newFields().add("maxFederatedIdentityCredentials", x.policy.MaxFederatedIdentityCredentials)
	if x.policy.RegisteredIssuersOnly != nil {
		policy.add("registeredIssuersOnly", *x.policy.RegisteredIssuersOnly)
	}
	root.add("policy", policy)
	var issuers, groups, applications, identities []*fields
	for _, i := range x.issuers {
		issuers = append(issuers, writeIssuer(i))
	}
	written, err := x.writeGroups()
	if err != nil {
		return nil, err
	}
	groups = written
	for _, e := range x.holders {
		if e.kind == credential.ManagedIdentity {
			identities = append(identities, x.writeIdentity(e))
		} else {
			applications = append(applications, x.writeApplication(e))
		}
	}
	root.add("issuers", issuers).add("resourceGroups", groups).add("applications", applications).add("managedIdentities", identities)
	root.HeadComment = oneLine(fmt.Sprintf("Exported from tenant %s of %s.", x.target.TenantID, x.target.ResourceManager))
	return x.trim(&root.Node)
}

func writeIssuer(i client.Issuer) *fields {
	f := newFields().add("name", i.Name).add("issuer", i.Issuer).add("keySource", string(i.KeySource)).add("jwksUri", i.JWKSURI)
	if len(i.KeySet) > 0 {
		f.add("keySet", i.KeySet)
	}
	f.add("algorithms", i.Algorithms).add("caCertificate", i.CACertificate)
	if i.AllowMultipleAudiences {
		f.add("allowMultipleAudiences", true)
	}
	return f
}

// writeGroups writes the groups that what is exported needs.
func (x *exporter) writeGroups() (all []*fields, _ error) {
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(x.groups)) {
		if seen[fold(name)] {
			continue
		}
		seen[fold(name)] = true
		g, err := x.client.ResourceGroup(x.ctx, client.ResourceGroupID{SubscriptionID: x.Subscription, Name: name})
		if x.mayNot(err) || errors.Is(err, client.ErrNotFound) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("read what is there: %w", err)
		}
		all = append(all, newFields().add("name", g.Name).add("location", g.Location).add("tags", g.Tags))
	}
	return all, nil
}

func (x *exporter) writeApplication(e *exported) *fields {
	a := e.application
	f := newFields().add("displayName", a.DisplayName).comment("client id "+a.AppID).add("uniqueName", a.UniqueName)
	if a.UniqueName == "" && (x.names[fold(a.DisplayName)] > 1 || unsearchable(a.DisplayName)) {
		f.add("clientId", a.AppID) // or else nobody could tell which is meant
	}
	f.add("description", a.Description).add("notes", a.Notes).add("identifierUris", a.IdentifierURIs)
	if v := a.API.RequestedAccessTokenVersion; v != nil {
		f.add("requestedAccessTokenVersion", *v)
	}
	f.add("tags", a.Tags)
	var roles []*fields
	for _, r := range a.AppRoles {
		role := newFields().add("value", r.Value).add("id", r.ID).add("displayName", r.DisplayName).add("description", r.Description).add("allowedMemberTypes", r.AllowedMemberTypes)
		if !r.IsEnabled {
			role.add("isEnabled", false)
		}
		roles = append(roles, role)
	}
	f.add("appRoles", roles)
	sp := newFields()
	if !e.principal.AccountEnabled {
		sp.add("accountEnabled", false)
	}
	if e.principal.AppRoleAssignmentRequired {
		sp.add("appRoleAssignmentRequired", true)
	}
	f.add("servicePrincipal", sp.add("tags", e.principal.Tags))
	x.writeHolder(f, e)
	return f
}

// unsearchable says of a name that it cannot stand in a filter.
func unsearchable(name string) bool { return strings.ContainsFunc(name, unicode.IsControl) }

func (x *exporter) writeIdentity(e *exported) *fields {
	m := e.identity
	f := newFields().add("name", m.Name).comment("client id "+m.ClientID).add("resourceGroup", e.id.ResourceGroup).add("location", m.Location).add("tags", m.Tags)
	if isolation(m.IsolationScope) != "None" {
		f.add("isolationScope", m.IsolationScope)
	}
	x.writeHolder(f, e)
	return f
}

func (x *exporter) writeHolder(f *fields, e *exported) {
	var credentials, grants, roles []*fields
	for _, c := range e.credentials {
		w := newFields().add("name", c.Name).add("issuer", c.Issuer)
		if name := x.issuerNames[c.Issuer]; name != "" {
			w = newFields().add("name", c.Name).add("issuer", name)
		}
		if namespace, name, ok := credential.ParseServiceAccountSubject(c.Subject); ok {
			w.add("serviceAccount", namespace+"/"+name)
		} else {
			w.add("subject", c.Subject)
		}
		if !slices.Equal(c.Audiences, []string{credential.DefaultAudience}) {
			w.add("audiences", c.Audiences)
		}
		credentials = append(credentials, w.add("description", c.Description))
	}
	for _, g := range e.grants {
		name, inFile := x.nameOf(g.resource)
		w := newFields().add("resource", name)
		if !inFile {
			w.comment(g.resource.DisplayName)
		}
		grants = append(grants, w.add("role", g.role))
	}
	for _, r := range e.roles {
		w := newFields().add("role", r.role)
		if group, ok := x.groupOf(r.scope); ok {
			w.add("resourceGroup", group)
		} else if same(r.scope, "/subscriptions/"+x.Subscription) {
			w.add("scope", manifest.Subscription)
		} else {
			w.add("scope", r.scope)
		}
		roles = append(roles, w)
	}
	f.add("federatedCredentials", credentials).add("appRoleAssignments", grants).add("roleAssignments", roles)
}

// nameOf is what a resource is called in the file, where it has a name there that
// holds in other tenants as well, or else its client id.
func (x *exporter) nameOf(r *client.ServicePrincipal) (name string, inFile bool) {
	unique := func(name string) bool {
		return slices.ContainsFunc(x.holders, func(e *exported) bool { return e.application.UniqueName == name })
	}
	for _, e := range x.holders {
		switch a := e.application; {
		case a.AppID == "" || a.AppID != r.AppID:
		case a.UniqueName != "":
			return a.UniqueName, true
		case x.names[fold(a.DisplayName)] == 1 && !unique(a.DisplayName) && !unsearchable(a.DisplayName):
			return a.DisplayName, true
		}
	}
	return r.AppID, false
}

// trim writes the document and reads it back, as whoever uses it will, and takes
// out what a manifest cannot say until it is one.
func (x *exporter) trim(root *yaml.Node) ([]byte, error) {
	for {
		var b bytes.Buffer
		e := yaml.NewEncoder(&b)
		e.SetIndent(2)
		if err := e.Encode(root); err != nil {
			return nil, err
		}
		if err := e.Close(); err != nil {
			return nil, err
		}
		_, err := manifest.Read("export", b.Bytes(), nil)
		problems, bad := errors.AsType[*manifest.Problems](err)
		if !bad {
			x.out.Applications, x.out.Identities = count(root, "applications"), count(root, "managedIdentities")
			return b.Bytes(), err
		}
		if b.Len() > manifest.MaxSize {
			return nil, fmt.Errorf("what is there needs a file of %d bytes, and one may have %d: select a part of it", b.Len(), manifest.MaxSize)
		}
		out := map[*yaml.Node]bool{} // elements and keys
		for _, p := range problems.List {
			n, what := blame(root, p.Path)
			if n == nil {
				return nil, fmt.Errorf("what is there makes no manifest: %w", problems)
			}
			if !out[n] {
				out[n] = true
				x.note("%s is left out: %s %s", what, p.Path[strings.LastIndexByte(p.Path, '.')+1:], p.Text)
			}
		}
		without(root, out)
	}
}

var stepOf = regexp.MustCompile(`^\.?([A-Za-z]+)(?:\[(\d+)\])?`)

// required are fields without which an object is none.
var required = []string{"displayName", "name", "resourceGroup", "issuer", "value", "resource", "role", "scope", "subject", "serviceAccount", "audiences", "id"}

// blame finds the smallest thing that can be left out for a problem at a path: an
// element of a list, or a field that nothing needs. It returns nil for a problem of
// the whole. The description names applications and the like by their names.
func blame(root *yaml.Node, path string) (out *yaml.Node, what string) {
	at := root
	for path != "" {
		m := stepOf.FindStringSubmatch(path)
		if m == nil {
			return out, what
		}
		path = path[len(m[0]):]
		key, value := field(at, m[1])
		if key == nil {
			return out, what
		}
		i, err := strconv.Atoi(m[2])
		if value.Kind == yaml.SequenceNode && err == nil && i < len(value.Content) && value.Content[i].Kind == yaml.MappingNode {
			at = value.Content[i]
			out, what = at, strings.TrimSpace(what+" "+m[1]+" "+nameOf(at, i))
			continue
		}
		if !slices.Contains(required, m[1]) && at != root {
			out, what = key, what+" "+m[1]
		}
		at = value
	}
	return out, what
}

func field(mapping *yaml.Node, name string) (key, value *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content) && mapping.Kind == yaml.MappingNode; i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i], mapping.Content[i+1]
		}
	}
	return nil, nil
}

func count(root *yaml.Node, list string) int {
	if _, value := field(root, list); value != nil {
		return len(value.Content)
	}
	return 0
}

func nameOf(mapping *yaml.Node, i int) string {
	for _, name := range []string{"displayName", "name", "value", "role"} {
		if _, v := field(mapping, name); v != nil {
			return strconv.Quote(v.Value)
		}
	}
	return strconv.Itoa(i + 1)
}

// without takes out elements and fields.
func without(n *yaml.Node, out map[*yaml.Node]bool) {
	var kept []*yaml.Node
	for i := 0; i < len(n.Content); i++ {
		if out[n.Content[i]] {
			if n.Kind == yaml.MappingNode {
				i++
			}
			continue
		}
		kept = append(kept, n.Content[i])
	}
	n.Content = kept
	for _, c := range n.Content {
		without(c, out)
	}
}
