package plan

import (
	"context"
	"fmt"
)

// Action is what a step does.
type Action string

// The actions. Adopt and Unchanged write nothing.
const (
	Create    Action = "create"
	Update    Action = "update"
	Delete    Action = "delete"
	Adopt     Action = "adopt" // a credential stands for one that has another name in the file
	Unchanged Action = "unchanged"
)

// Kind is what a step is about.
type Kind string

// The kinds of objects.
const (
	PolicyObject    Kind = "policy"
	IssuerObject    Kind = "issuer"
	GroupObject     Kind = "resourceGroup"
	AppObject       Kind = "application"
	PrincipalObject Kind = "servicePrincipal"
	IdentityObject  Kind = "managedIdentity"
	CredObject      Kind = "federatedCredential"
	GrantObject     Kind = "appRoleAssignment"
	RoleObject      Kind = "roleAssignment"
)

// words are kinds for persons.
var words = map[Kind]string{
	PolicyObject: "policy", IssuerObject: "issuer", GroupObject: "resource group", AppObject: "application", PrincipalObject: "service principal",
	IdentityObject: "managed identity", CredObject: "federated credential", GrantObject: "app role", RoleObject: "role",
}

// Step is one object: what is done to it, or that nothing is.
type Step struct {
	Action Action `json:"action"`
	Kind   Kind   `json:"kind"`
	// Name is the object's on the target: of an identity GROUP/NAME, of an
	// assignment the role's.
	Name string `json:"name"`
	// Parent is what the object belongs to: the application or identity of a
	// credential, a service principal or an assignment.
	Parent *Parent `json:"parent,omitempty"`
	// Declared is the name of a credential in the file, where it has another one.
	Declared string `json:"declared,omitempty"`
	// Line and Path are where the file states it; 0 and empty for what it does not.
	Line    int      `json:"line,omitempty"`
	Path    string   `json:"path,omitempty"`
	Changes []Change `json:"changes,omitempty"`
	Notes   []string `json:"notes,omitempty"`

	// Result and Error are what became of the step, once the plan was applied.
	Result Result `json:"result,omitempty"`
	Error  string `json:"error,omitempty"`

	work
}

// Parent names what an object belongs to.
type Parent struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name"`
}

// Change is one field. An object that is made has no Old, one that is removed no New.
type Change struct {
	Field string `json:"field"`
	Old   any    `json:"old,omitempty"` // text, number, truth, list or map of texts
	New   any    `json:"new,omitempty"`
}

// Result is what became of a step.
type Result string

// The results of steps that write.
const (
	Done   Result = "done"
	Failed Result = "failed"
	Left   Result = "left" // not begun
)

// work is how a step is done.
type work struct {
	do func(context.Context) error
	// standing says after a refusal whether the object is as it should be all the
	// same, because an earlier try was carried out; nil: it is not asked.
	standing func(context.Context) (bool, error)
	of       *holder // whose steps come one after the other; nil: before all of those
	right    bool    // comes after the steps that make holders
	needs    *holder // whose service principal has to be there, besides that of of
}

// What is the object, for persons.
func (s *Step) What() string {
	what := words[s.Kind]
	if s.Kind != PrincipalObject && s.Kind != PolicyObject {
		what += fmt.Sprintf(" %q", s.Name)
	}
	if s.Parent != nil {
		what += fmt.Sprintf(" of %s %q", words[s.Parent.Kind], s.Parent.Name)
	}
	return what
}

// writes says whether a step writes something.
func (s *Step) writes() bool { return s.Action == Create || s.Action == Update || s.Action == Delete }

// changed lists fields that differ.
type changed []Change

// text notes a text that is stated and differs.
func (c *changed) text(field string, stated bool, old, new string) bool {
	if !stated || old == new {
		return false
	}
	*c = append(*c, Change{field, old, new})
	return true
}

// set notes a list whose order means nothing.
func (c *changed) set(field string, stated bool, old, new []string) bool {
	if !stated || sameSet(old, new) {
		return false
	}
	*c = append(*c, Change{field, some(old), some(new)})
	return true
}

func (c *changed) truth(field string, stated, old, new bool) bool {
	if !stated || old == new {
		return false
	}
	*c = append(*c, Change{field, old, new})
	return true
}

// fresh lists the fields of an object that is made; what is zero is left out.
func (c *changed) fresh(field string, value any) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return
		}
	case []string:
		if len(v) == 0 {
			return
		}
	case map[string]string:
		if len(v) == 0 {
			return
		}
	}
	*c = append(*c, Change{Field: field, New: value})
}

func some(list []string) []string { return append([]string{}, list...) }

// sameSet compares lists without their order.
func sameSet(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	count := map[string]int{}
	for _, v := range a {
		count[v]++
	}
	for _, v := range b {
		if count[v]--; count[v] < 0 {
			return false
		}
	}
	return true
}
