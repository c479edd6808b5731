package arm

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/roles"
)

// What `az role` sends, in its order and with its versions, and how it takes
// the answers: Debian's package of it is broken on its own side, so that its
// commands cannot be run.
const (
	azDefinitions = "2018-01-01-preview"
	azAssignments = "2020-04-01-preview"
)

// az is a caller who is an administrator, and what az does for it.
type az struct{ *world }

type azObject struct {
	ID, Name, Type string
	Properties     struct {
		RoleName, RoleDefinitionID, PrincipalID, PrincipalType, Scope, Type string
		AssignableScopes                                                    []string
		Permissions                                                         []struct{ Actions, NotActions []string }
	}
}

func (a az) list(path, version, filter string) []azObject {
	a.t.Helper()
	path += "?api-version=" + version
	if filter != "" {
		path += "&$filter=" + strings.ReplaceAll(url.QueryEscape(filter), "+", "%20")
	}
	var body struct{ Value []azObject }
	if err := json.Unmarshal([]byte(a.ok("admin", "GET", path, "").text), &body); err != nil || body.Value == nil {
		a.t.Fatalf("%s is no list (%v)", path, err)
	}
	return body.Value
}

// definition finds the id of a role: by its name on the scope, or made of its GUID.
func (a az) definition(scope, role string) string {
	a.t.Helper()
	if uuid.Validate(role) == nil {
		return sub + definitionPath + role
	}
	found := a.list(scope+strings.TrimSuffix(definitionPath, "/"), azDefinitions, "roleName eq '"+role+"'")
	if len(found) != 1 {
		a.t.Fatalf("%d roles are called %q", len(found), role)
	}
	return found[0].ID
}

// create is `az role assignment create`: an assignment that is there already is shown instead.
func (a az) create(scope, role, principal string) reply {
	a.t.Helper()
	body := fmt.Sprintf(`{"properties":{"roleDefinitionId":"%s","principalId":"%s","principalType":"ServicePrincipal"}}`, a.definition(scope, role), principal)
	return a.do("admin", "PUT", scope+assignmentPath+uuid.NewString()+"?api-version="+azAssignments, body)
}

// assignments is `az role assignment list --scope --assignee`, and --role.
func (a az) assignments(scope, role, principal string) []azObject {
	a.t.Helper()
	wanted := ""
	if role != "" {
		wanted = a.definition(scope, role)
	}
	var kept []azObject
	for _, o := range a.list(scope+strings.TrimSuffix(assignmentPath, "/"), azAssignments, "atScope()") {
		if strings.EqualFold(o.Properties.Scope, scope) && o.Properties.PrincipalID == principal && (wanted == "" || o.Properties.RoleDefinitionID == wanted) { // ids of definitions with their case
			kept = append(kept, o)
		}
	}
	return kept
}

func TestRolesAsAzAssignsThem(t *testing.T) {
	w := newWorld(t)
	w.fixture()
	const cluster = inGroup + "/providers/Microsoft.ContainerService/managedClusters/prod"
	w.ok("admin", "PUT", cluster, `{"location":"local"}`)
	who := w.principals["nobody"].PrincipalID
	for _, tt := range []struct{ scope, role string }{
		{sub, "Reader"},
		{sub, "contributor"},
		{inGroup, "Managed Identity Contributor"},
		{strings.Replace(inGroup, "resourceGroups", "resourcegroups", 1), "Managed Identity Operator"},
		{strings.ToUpper(inGroup), "User Access Administrator"},
		{ide, "Reader"},
		{strings.Replace(ide, "Microsoft.ManagedIdentity", "microsoft.managedidentity", 1), "Contributor"},
		{ideID, "Owner"},
		{cluster, "Azure Kubernetes Service Cluster User Role"},
		{inGroup, roles.Reader},
		{inGroup, strings.ToUpper(roles.Contributor)},
	} {
		t.Run(tt.role+" on "+tt.scope, func(t *testing.T) {
			a := az{&world{}}
			*a.world = *w
			a.t = t
			made := a.create(tt.scope, tt.role, who)
			if made.status != 201 { // for az, 200 is an error
				t.Fatalf("%d %s", made.status, made.text)
			}
			again := a.create(tt.scope, tt.role, strings.ToUpper(who))
			if e := again.error(t); again.status != 409 || e.Code != "RoleAssignmentExists" || e.Message != "The role assignment already exists." {
				t.Errorf("again: %d %s", again.status, again.text)
			}
			// The names of the roles are looked up among the definitions of the scope.
			named := map[string]string{}
			for _, d := range a.list(tt.scope+strings.TrimSuffix(definitionPath, "/"), azDefinitions, "") {
				named[d.ID] = d.Properties.RoleName
				if p := d.Properties; d.Type != "Microsoft.Authorization/roleDefinitions" || p.Type != "BuiltInRole" || len(p.AssignableScopes) == 0 || len(p.Permissions) != 1 || p.Permissions[0].Actions == nil || p.Permissions[0].NotActions == nil {
					t.Errorf("a definition: %+v", d)
				}
			}
			role := tt.role
			if uuid.Validate(role) == nil { // az compares ids with their case, so a GUID must be given as it is
				role = strings.ToLower(role)
			}
			found := a.assignments(tt.scope, role, who)
			if len(found) != 1 {
				t.Fatalf("%d assignments: %+v", len(found), found)
			}
			one := found[0]
			if p := one.Properties; p.PrincipalID != who || p.PrincipalType != "ServicePrincipal" || one.Type != "Microsoft.Authorization/roleAssignments" || named[p.RoleDefinitionID] == "" {
				t.Errorf("listed as %+v, of a role called %q", one, named[p.RoleDefinitionID])
			}
			everywhere := 0
			for _, o := range a.list(sub+strings.TrimSuffix(assignmentPath, "/"), azAssignments, "principalId eq '"+who+"'") { // --all --assignee
				if o.ID == one.ID {
					everywhere++
				}
			}
			if everywhere != 1 {
				t.Errorf("listed %d times among all", everywhere)
			}
			for _, id := range []struct {
				id     string
				status int
			}{{strings.ToUpper(one.ID), 200}, {one.ID, 204}} { // --ids
				if r := a.do("admin", "DELETE", id.id+"?api-version="+azAssignments, ""); r.status != id.status {
					t.Errorf("delete %s: %d %s", id.id, r.status, r.text)
				}
			}
			if left := a.assignments(tt.scope, "", who); len(left) > 0 {
				t.Errorf("left: %+v", left)
			}
		})
	}
}

// What is listed on a scope with each filter: assignments above it count
// there, and those below it are only listed without atScope().
func TestFiltersOfAssignments(t *testing.T) {
	w := newWorld(t)
	w.fixture()
	if r := w.do("admin", "DELETE", inGroup+assignmentPath+sampleAssignment, ""); r.status != 200 {
		t.Fatal(r.text)
	}
	who := w.principals["nobody"].PrincipalID
	names := map[string]string{}
	for at, scope := range map[string]string{"root": "", "subscription": sub, "group": inGroup, "other": sub + "/resourceGroups/other", "identity": ide} {
		name := uuid.NewString()
		names[name] = at
		w.ok("admin", "PUT", scope+assignmentPath+name, w.assign(roles.Reader, "nobody"))
	}
	list := func(as, scope, filter string) string {
		t.Helper()
		path := scope + strings.TrimSuffix(assignmentPath, "/")
		if filter != "" {
			path += "?$filter=" + url.QueryEscape(filter)
		}
		var body struct{ Value []azObject }
		if err := json.Unmarshal([]byte(w.ok(as, "GET", path, "").text), &body); err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, o := range body.Value {
			if o.Properties.PrincipalID == who {
				found[names[o.Name]] = true
			}
		}
		var all []string
		for _, at := range []string{"root", "subscription", "group", "other", "identity"} {
			if found[at] {
				all = append(all, at)
			}
		}
		return strings.Join(all, " ")
	}
	other := w.principals["reader"].PrincipalID
	for _, tt := range []struct{ as, scope, filter, want string }{
		{"admin", "", "", "root subscription group other identity"},
		{"admin", "", "atScope()", "root"},
		{"admin", sub, "", "root subscription group other identity"},
		{"admin", sub, "atScope()", "root subscription"},
		{"admin", inGroup, "", "root subscription group identity"},
		{"admin", strings.ToUpper(inGroup), "", "root subscription group identity"},
		{"admin", inGroup, "atScope()", "root subscription group"},
		{"admin", strings.ToLower(inGroup), "ATSCOPE()", "root subscription group"},
		{"admin", ide, "atScope()", "root subscription group identity"},
		{"admin", inGroup, "principalId eq '" + who + "'", "root subscription group identity"},
		{"admin", inGroup, "principalId eq '" + strings.ToUpper(who) + "'", "root subscription group identity"},
		{"admin", inGroup, "atScope() and principalId eq '" + who + "'", "root subscription group"},
		{"admin", inGroup, "atScope() and assignedTo('" + who + "')", "root subscription group"},
		{"admin", inGroup, "assignedTo('" + who + "')", "root subscription group identity"},
		{"admin", inGroup, "principalId eq '" + other + "'", ""},
		{"admin", inGroup, "principalId eq '" + uuid.NewString() + "'", ""},
		// Whoever may read those of a group sees what counts there, and nothing of other groups.
		{"contributor", inGroup, "", "root subscription group identity"},
		{"contributor", inGroup, "atScope()", "root subscription group"},
	} {
		if got := list(tt.as, tt.scope, tt.filter); got != tt.want {
			t.Errorf("%s on %q with %q: %q, want %q", tt.as, tt.scope, tt.filter, got, tt.want)
		}
	}
	for _, filter := range []string{"principalId eq 'x'", "principalId eq '" + who + "' and assignedTo('" + who + "')", "principalId ne '" + who + "'", "roleName eq 'Reader'", "atScope() or principalId eq '" + who + "'"} {
		if r := w.do("admin", "GET", inGroup+strings.TrimSuffix(assignmentPath, "/")+"?$filter="+url.QueryEscape(filter), ""); r.status != 400 || r.error(t).Code != "InvalidFilter" {
			t.Errorf("%s: %d %s", filter, r.status, r.text)
		}
	}
}

// azwi, by the SDK for Go, looks roles up on no scope at all, sends no type,
// and takes nothing but 201; az waits for a principal as long as the words say
// that it is not there yet.
func TestRolesAsTheSDKAssignsThem(t *testing.T) {
	w := newWorld(t)
	w.fixture()
	who := w.principals["nobody"].PrincipalID
	const version = "?api-version=2015-07-01"
	for _, path := range []string{"", "/"} { // the SDK puts an empty scope in front
		r := w.ok("admin", "GET", path+strings.TrimSuffix(definitionPath, "/")+version+"&$filter=roleName+eq+%27Key+Vault+Secrets+User%27", "")
		var body struct{ Value []azObject }
		if err := json.Unmarshal([]byte(r.text), &body); err != nil || len(body.Value) != 1 || body.Value[0].ID != definitionPath+"4633458b-17de-408a-b874-0445c86b69e6" {
			t.Errorf("%q: %s (%v)", path, r.text, err)
		}
	}
	body := func(definition, principal string) string {
		return `{"properties":{"roleDefinitionId":"` + definition + `","principalId":"` + principal + `"}}`
	}
	const secretsUser, name = definitionPath + "4633458b-17de-408a-b874-0445c86b69e6", "99999999-9999-4999-8999-999999999999"
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		code, words              string
	}{
		{"assign", "PUT", inGroup + assignmentPath + name, body(secretsUser, who), 201, "", `"roleDefinitionId":"` + sub + secretsUser + `"`},
		{"assign again by another name", "PUT", inGroup + assignmentPath + uuid.NewString(), body(secretsUser, who), 409, "RoleAssignmentExists", "The role assignment already exists."},
		{"another role by the same name", "PUT", inGroup + assignmentPath + name, body(definitionPath+roles.Reader, who), 409, "RoleAssignmentUpdateNotPermitted", ""},
		{"another principal by the same name", "PUT", inGroup + assignmentPath + name, body(secretsUser, w.principals["reader"].PrincipalID), 409, "RoleAssignmentUpdateNotPermitted", ""},
		{"the same name on another scope", "PUT", sub + assignmentPath + name, body(secretsUser, who), 201, "", ""},
		{"a principal that is not there yet", "PUT", inGroup + assignmentPath + uuid.NewString(), body(secretsUser, uuid.NewString()), 400, "PrincipalNotFound", " does not exist in the directory " + testTenant},
		{"an unknown role", "PUT", inGroup + assignmentPath + uuid.NewString(), body(definitionPath+name, who), 404, "RoleDefinitionDoesNotExist", name},
		{"a role that is no GUID", "PUT", inGroup + assignmentPath + uuid.NewString(), body("Reader", who), 400, "InvalidRoleDefinitionId", ""},
		{"a name that is no GUID", "PUT", inGroup + assignmentPath + "mine", body(secretsUser, who), 400, "InvalidRoleAssignmentId", ""},
		{"a group that is not there", "PUT", sub + "/resourceGroups/absent" + assignmentPath + name, body(secretsUser, who), 404, "ResourceGroupNotFound", ""},
		{"a person", "PUT", inGroup + assignmentPath + uuid.NewString(), `{"properties":{"roleDefinitionId":"` + secretsUser + `","principalId":"` + who + `","principalType":"User"}}`, 400, "UnmatchedPrincipalType", ""},
		{"get", "GET", strings.ToUpper(inGroup) + assignmentPath + strings.ToUpper(name), "", 200, "", `"id":"` + inGroup + assignmentPath + name + `"`},
		{"get on another scope", "GET", ide + assignmentPath + name, "", 404, "RoleAssignmentNotFound", ""},
		{"delete, and see what it was", "DELETE", inGroup + assignmentPath + name, "", 200, "", `"principalId":"` + who + `"`},
		{"delete again", "DELETE", inGroup + assignmentPath + name, "", 204, "", ""},
		{"the other one stays", "GET", sub + assignmentPath + name, "", 200, "", ""},
		{"a definition", "GET", sub + definitionPath + roles.Reader, "", 200, "", `"roleName":"Reader"`},
		{"an unknown definition", "GET", sub + definitionPath + name, "", 404, "RoleDefinitionDoesNotExist", ""},
	} {
		r := w.do("admin", tt.method, tt.path+version, tt.body)
		if r.status != tt.status || !strings.Contains(r.text, tt.words) || tt.code != "" && r.error(t).Code != tt.code {
			t.Errorf("%s: %d %s", tt.name, r.status, r.text)
		}
	}
	for _, role := range []string{"No Such Role", "Reade", "Reader''x", "*"} {
		if r := w.ok("admin", "GET", strings.TrimSuffix(definitionPath, "/")+version+"&$filter="+url.QueryEscape("roleName eq '"+role+"'"), ""); r.text != `{"value":[]}` {
			t.Errorf("%s: %s", role, r.text)
		}
	}
	for _, version := range []string{"2015-07-01", "2018-01-01-preview", "2018-09-01-preview", "2020-04-01-preview", "2020-10-01-preview", "2022-04-01", "2022-05-01-preview"} {
		if r := w.do("admin", "GET", sub+strings.TrimSuffix(assignmentPath, "/")+"?api-version="+version, ""); r.status != 200 {
			t.Errorf("%s: %d %s", version, r.status, r.text)
		}
	}
}
