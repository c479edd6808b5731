package roles

import (
	"slices"
	"strings"
)

// Definition is a role definition in the terms of Azure RBAC: patterns of
// actions on resources, where "*" stands for any run of characters.
// ID is a lower-case GUID. DataActions are kept and shown for the sake of
// clients; nothing in this server asks for one.
type Definition struct {
	ID, Name, Description                            string
	Actions, NotActions, DataActions, NotDataActions []string
	AssignableScopes                                 []string
}

// Reserved is the prefix of the actions that only a pattern naming it grants.
const Reserved = "Entente.Federation/"

const reserved = "entente.federation/"

// Allows reports whether d lets its holder do action: some pattern of Actions
// matches it and none of NotActions does. Case does not matter, in ASCII only,
// so that no letter from elsewhere folds onto one of ours.
//
// An action that begins with Reserved needs a pattern that begins with it too:
// neither "*" nor "*/read" reaches there. NotActions take away what they match,
// without that exception.
func (d Definition) Allows(action string) bool {
	if action == "" {
		return false
	}
	action = lower(action)
	named := strings.HasPrefix(action, reserved)
	grants := func(p string) bool {
		p = lower(p)
		return (!named || strings.HasPrefix(p, reserved)) && names(p, action)
	}
	takes := func(p string) bool { return names(lower(p), action) }
	return slices.ContainsFunc(d.Actions, grants) && !slices.ContainsFunc(d.NotActions, takes)
}

// names reports whether a pattern names an action. Between slashes a star may
// also stand for no segment at all: Azure's own Managed Identity Operator reads
// identities by ".../userAssignedIdentities/*/read".
func names(pattern, action string) bool {
	return match(pattern, action) || strings.Contains(pattern, "/*/") && match(strings.ReplaceAll(pattern, "/*/", "/"), action)
}

// ReachesReserved reports whether any pattern of d grants reserved actions.
// Whoever hands out or edits such a definition must hold the reserved actions
// already: with the right to assign roles alone, an Owner could otherwise give
// the right to set issuers' keys to himself.
func (d Definition) ReachesReserved() bool {
	return slices.ContainsFunc(d.Actions, func(p string) bool {
		return strings.HasPrefix(lower(p), reserved)
	})
}
