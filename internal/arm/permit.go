package arm

import (
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

// permit checks a right on the tenant for what the directory does not keep
// (sign-ins, signing keys), and before work that costs something. It reads the
// caller's assignments live, as the directory does for its own methods.
func (s *Surface) permit(c *call, action, scope string) error {
	denied := &directory.Error{Kind: directory.Forbidden, Object: directory.PrincipalObject, ID: c.caller.PrincipalID, Action: action, Scope: scope, Caller: c.caller}
	if c.caller.PrincipalID == "" || c.caller.TenantID == "" {
		return denied // as a filter, an empty id would mean everybody's assignments
	}
	held, err := s.dir.RoleAssignments(c, directory.System(c.caller.TenantID, "check of a right"), scope, directory.AssignmentFilter{PrincipalID: c.caller.PrincipalID, AtScope: true})
	if err != nil {
		return err
	}
	for _, a := range held {
		if d, ok := roles.ByID(a.DefinitionID); ok && a.PrincipalID == c.caller.PrincipalID && roles.Covers(a.Scope, scope) && d.Allows(action) {
			return nil
		}
	}
	return denied
}
