package cli

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/login"
	"github.com/entente-id/entente/internal/server"
)

// heldRole is a role that somebody holds.
type heldRole struct {
	Role  string `json:"role"`
	Scope string `json:"scope"` // of Azure RBAC, or the name of the application that offers it
}

// somebody is a caller as the service knows them.
type somebody struct {
	Context     string     `json:"context,omitempty"`
	Service     string     `json:"service"`
	TenantID    string     `json:"tenantId"`
	ClientID    string     `json:"clientId"`
	ObjectID    string     `json:"objectId"`
	Kind        string     `json:"kind,omitempty"` // "Application", "ManagedIdentity", "user"
	Name        string     `json:"name,omitempty"`
	Login       string     `json:"login,omitempty"`
	LoginFrom   string     `json:"loginFrom,omitempty"` // the file with the administrator, where nobody logged in
	Expires     time.Time  `json:"tokenExpires"`
	Roles       []heldRole `json:"roles"`
	Permissions []heldRole `json:"permissions"`
	Unknown     []string   `json:"unknown,omitempty"` // what the service does not let the caller see
}

var somebodyView = view[somebody]{
	name: func(w somebody) string { return cmp.Or(w.Name, w.ClientID) },
	details: func(w somebody) [][2]string {
		all := [][2]string{
			{"Context", w.Context}, {"Service", w.Service}, {"Tenant", w.TenantID}, {"Client", w.ClientID}, {"Object", w.ObjectID},
			{"Kind", w.Kind}, {"Name", w.Name}, {"Login", w.login()}, {"Token until", w.Expires.Local().Format("2006-01-02 15:04:05 MST")},
		}
		for _, r := range w.Roles {
			all = append(all, [2]string{"Role", r.Role + " on " + r.Scope})
		}
		for _, r := range w.Permissions {
			all = append(all, [2]string{"Permission", r.Role + " of " + r.Scope})
		}
		if len(w.Roles)+len(w.Permissions)+len(w.Unknown) == 0 {
			all = append(all, [2]string{"Role", "none"})
		}
		for _, u := range w.Unknown {
			all = append(all, [2]string{"Unknown", u})
		}
		return all
	},
}

// login is how the caller proved themselves, and by what if nobody logged in.
func (w somebody) login() string {
	words := methodInWords(login.Method(w.Login), w.ClientID)
	if words != "" && w.LoginFrom != "" {
		words += ", which stands in " + w.LoginFrom
	}
	return words
}

func newWhoami() *cobra.Command {
	o := &struct {
		connection
		output
	}{}
	cmd := &cobra.Command{
		Use:   "whoami",
		Short: "Show who calls, as the service sees it",
		Long: `Ask the service for a token, and show whose it is: tenant, client, object, and the
roles and permissions that it holds. What the service does not let the caller see
is said to be unknown.` + connectionHelp,
		Example: "  entente whoami\n  entente whoami --cloud usgov\n  entente whoami --context lab -o json | jq -r .objectId",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.output.check(); err != nil {
				return err
			}
			s, err := o.open(cmd)
			if err != nil {
				return err
			}
			w, err := s.whoami(cmd.Context())
			if err != nil {
				return s.explain(err)
			}
			return somebodyView.one(cmd.OutOrStdout(), o.output, w)
		},
	}
	o.output.flags(cmd.Flags())
	o.connection.flags(cmd.Flags())
	return cmd
}

// whoami is the caller. That a token is given is needed; of the rest, what may not
// be seen is left out.
func (s *session) whoami(ctx context.Context) (somebody, error) {
	claims, err := s.claims(ctx)
	if err != nil {
		return somebody{}, err
	}
	w := somebody{
		Context: s.context, Service: s.authority, TenantID: claims.TenantID, ClientID: claims.ClientID, ObjectID: claims.ObjectID,
		Kind: claims.Kind, Name: claims.User, Login: string(s.caller.method), Expires: claims.Expiry.UTC(), Roles: []heldRole{}, Permissions: []heldRole{},
	}
	if s.context != "" && s.caller.dataDir != "" {
		w.LoginFrom = filepath.Join(s.caller.dataDir, server.AdminFile)
	}
	// hidden notes what may not be seen, and passes on what is another error.
	hidden := func(what string, err error) error {
		e, ok := errors.AsType[*client.Error](err)
		if ok && (e.Status == http.StatusForbidden || e.Status == http.StatusNotFound || e.Status == http.StatusUnauthorized) {
			w.Unknown = append(w.Unknown, what)
			return nil
		}
		return err
	}
	if err := hidden("roles", s.rolesOf(ctx, &w)); err != nil {
		return w, err
	}
	if claims.Kind != "user" {
		if err := hidden("permissions", s.permissionsOf(ctx, &w)); err != nil {
			return w, err
		}
	}
	w.sort()
	return w, nil
}

// sort makes two answers comparable: services list in no order.
func (w *somebody) sort() {
	for _, held := range [][]heldRole{w.Roles, w.Permissions} {
		slices.SortFunc(held, func(a, b heldRole) int { return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Scope, b.Scope)) })
	}
}

// rolesOf finds the role assignments in the subscriptions that the caller sees, and
// above them.
func (s *session) rolesOf(ctx context.Context, w *somebody) error {
	subscriptions, err := s.client.Subscriptions(ctx)
	if err != nil {
		return err
	}
	var all []client.RoleAssignment
	for _, one := range subscriptions {
		found, err := s.assignmentsIn(ctx, one, w)
		if err != nil {
			return err
		}
		for _, a := range found {
			if !slices.ContainsFunc(all, func(b client.RoleAssignment) bool { return strings.EqualFold(a.ID, b.ID) }) {
				all = append(all, a)
			}
		}
	}
	names := map[string]string{}
	for _, a := range all {
		id := strings.ToLower(a.RoleDefinitionID[strings.LastIndex(a.RoleDefinitionID, "/")+1:])
		if names[id] == "" {
			names[id] = id
			if d, err := s.client.RoleDefinition(ctx, a.Scope, id); err == nil {
				names[id] = d.RoleName
			}
		}
		w.Roles = append(w.Roles, heldRole{names[id], cmp.Or(a.Scope, "/")})
	}
	return nil
}

// assignmentsIn are those that a subscription shows, or else those that its resource
// groups do, to whoever has a role on some of these only.
func (s *session) assignmentsIn(ctx context.Context, one client.Subscription, w *somebody) ([]client.RoleAssignment, error) {
	all, err := s.client.RoleAssignments(ctx, one.ID, w.ObjectID)
	e, ok := errors.AsType[*client.Error](err)
	if !ok || e.Status != http.StatusForbidden {
		return all, err
	}
	groups, listErr := s.client.ResourceGroups(ctx, one.SubscriptionID)
	if listErr != nil || len(groups) == 0 {
		return nil, err
	}
	for _, g := range groups {
		if found, err := s.client.RoleAssignments(ctx, g.ID, w.ObjectID); err == nil {
			all = append(all, found...)
		}
	}
	w.Unknown = append(w.Unknown, "roles on other things in the subscription "+one.SubscriptionID)
	return all, nil
}

// permissionsOf finds the app roles of the caller's service principal.
func (s *session) permissionsOf(ctx context.Context, w *somebody) error {
	p, err := s.client.ServicePrincipal(ctx, w.ClientID)
	if err != nil {
		return err
	}
	w.Name, w.Kind = cmp.Or(w.Name, p.DisplayName), cmp.Or(p.ServicePrincipalType, w.Kind)
	all, err := s.client.AppRoleAssignments(ctx, p.ID)
	if err != nil {
		return err
	}
	resources := map[string]client.ServicePrincipal{}
	for _, a := range all {
		r, known := resources[a.ResourceID]
		if !known {
			r, _ = s.client.ServicePrincipal(ctx, a.ResourceID) // without it the role has an id for a name
			resources[a.ResourceID] = r
		}
		name := a.AppRoleID
		for _, role := range r.AppRoles {
			if role.ID == a.AppRoleID {
				name = cmp.Or(role.Value, role.DisplayName, name)
			}
		}
		w.Permissions = append(w.Permissions, heldRole{name, cmp.Or(a.ResourceDisplayName, r.DisplayName, a.ResourceID)})
	}
	return nil
}
