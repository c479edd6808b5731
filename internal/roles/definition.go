package roles

// Definition is a role definition, in the terms of Azure RBAC.
type Definition struct {
	ID, Name, Description                            string
	Actions, NotActions, DataActions, NotDataActions []string
	AssignableScopes                                 []string
}

// Allows reports whether d lets its holder do action.
func (d Definition) Allows(action string) bool { return false }

// Covers reports whether an assignment at assignmentScope reaches scope.
func Covers(assignmentScope, scope string) bool { return false }
