package azwi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/entente-id/entente/client"
)

func (s *run) createAssignment(ctx context.Context) error {
	o := s.Options
	principal, err := s.principalID(ctx)
	if err != nil {
		return err
	}
	role, err := s.Client.RoleDefinitionByName(ctx, o.Scope, o.Role)
	if err != nil {
		return fmt.Errorf("getting the role at %s: %w", o.Scope, err)
	}
	args := []any{"role", role.RoleName, "scope", o.Scope, "servicePrincipalObjectID", principal}
	if s.planned {
		s.dry("create the role assignment", args...)
		return nil
	}
	all, err := s.Client.RoleAssignments(ctx, o.Scope, principal)
	if err != nil {
		return fmt.Errorf("listing the role assignments: %w", err)
	}
	for _, a := range all {
		if sameScope(a.Scope, o.Scope) && lastSegment(a.RoleDefinitionID) == lastSegment(role.ID) {
			s.note("role assignment has previously been created", append(args, "roleAssignmentID", a.ID)...)
			return nil
		}
	}
	if s.dry("create the role assignment", args...) {
		return nil
	}
	var made client.RoleAssignment
	err = s.settle(ctx, func() (err error) {
		made, err = s.Client.PutRoleAssignment(ctx, o.Scope, client.RoleAssignmentSpec{RoleDefinitionID: role.ID, PrincipalID: principal, PrincipalType: "ServicePrincipal"})
		return err
	})
	if errors.Is(err, client.ErrConflict) {
		s.note("role assignment has previously been created", args...)
		return nil
	}
	if err != nil {
		return fmt.Errorf("creating the role assignment: %w", err)
	}
	s.info("created role assignment", append(args, "roleAssignmentID", made.ID)...)
	return nil
}

// Resource ids have no case, and a role's id depends on where it was looked up.

func sameScope(a, b string) bool {
	return strings.EqualFold(strings.TrimRight(a, "/"), strings.TrimRight(b, "/"))
}

func lastSegment(id string) string { return strings.ToLower(id[strings.LastIndexByte(id, '/')+1:]) }

func (s *run) deleteAssignment(ctx context.Context) error {
	id := s.Options.RoleAssignmentID
	_, err := s.Client.RoleAssignment(ctx, id)
	if errors.Is(err, client.ErrNotFound) {
		s.note("role assignment not found", "roleAssignmentID", id)
		return nil
	}
	if err != nil {
		return fmt.Errorf("getting the role assignment: %w", err)
	}
	if s.dry("delete the role assignment", "roleAssignmentID", id) {
		return nil
	}
	if err := s.Client.DeleteRoleAssignment(ctx, id); err != nil {
		return fmt.Errorf("deleting the role assignment: %w", err)
	}
	s.info("deleted role assignment", "roleAssignmentID", id)
	return nil
}
