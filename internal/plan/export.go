package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
)

// ExportOptions say what is exported. Without a selection it is everything that
// the caller may read.
type ExportOptions struct {
	// Subscription is the id of that of the identities and roles; empty: those are left out.
	Subscription string
	// Applications selects some, by client id, object id or display name.
	Applications []string
	// Identities selects some, as GROUP/NAME. Where one of the two lists is not
	// empty, nothing else is exported than what both select.
	Identities []string
	// ResourceGroup leaves out identities of other groups.
	ResourceGroup string
	// Federated leaves out applications and identities without a credential.
	Federated bool
	// Parallel is how many objects are read at one time; 0 means 4.
	Parallel int
	// Wait waits where the service has no time now; nil: it takes the time.
	Wait func(context.Context, time.Duration) error
}

// Exported is a manifest of what is there.
type Exported struct {
	Text []byte
	// Applications and Identities count what the text has.
	Applications, Identities int
	// Notes say what is left out, and why.
	Notes []string
}

// Export writes down what is there, as a manifest for which a plan has nothing to
// do. What the caller may not read, and what a manifest cannot say, is left out
// with a note.
func Export(ctx context.Context, c *client.Client, o ExportOptions) (*Exported, error) {
	if o.Parallel <= 0 {
		o.Parallel = 4
	}
	if o.Wait == nil {
		o.Wait = pause
	}
	x := &exporter{
		ctx: ctx, client: c, ExportOptions: o, target: targetOf(c), out: &Exported{},
		issuerNames: map[string]string{}, groups: map[string]bool{}, definitions: map[string]string{}, resources: map[string]*client.ServicePrincipal{}, names: map[string]int{},
	}
	x.target.SubscriptionID = o.Subscription
	for _, read := range []func() error{x.readApplications, x.readIdentities, x.readHolders, x.readFederation} {
		if err := read(); err != nil {
			return nil, fmt.Errorf("read what is there: %w", err)
		}
	}
	if len(x.holders) == 0 && x.refused != nil {
		return nil, fmt.Errorf("read what is there: %w", x.refused)
	}
	text, err := x.write()
	if err != nil {
		return nil, err
	}
	x.out.Text = text
	return x.out, nil
}

type exporter struct {
	ctx    context.Context
	client *client.Client
	ExportOptions
	target  Target
	out     *Exported
	refused error // the first refusal

	policy      client.Policy // what differs from everywhere
	issuers     []client.Issuer
	issuerNames map[string]string // by URL
	holders     []*exported
	names       map[string]int  // of applications in the tenant, folded, by how many have it
	groups      map[string]bool // that identities and roles need, as they are written

	mu          sync.Mutex // of what follows
	definitions map[string]string
	resources   map[string]*client.ServicePrincipal // by object id
}

// exported is an application or identity that is read.
type exported struct {
	kind        credential.ParentKind
	application client.Application
	principal   client.ServicePrincipal // of an application
	identity    client.Identity
	id          client.IdentityID

	credentials []client.FederatedCredential
	grants      []exportedGrant
	roles       []exportedRole
	skip        bool
	notes       []string
}

type exportedGrant struct {
	resource *client.ServicePrincipal
	role     string
}

type exportedRole struct{ role, scope string }

func (e *exported) String() string {
	if e.kind == credential.ManagedIdentity {
		return labelOf(e.kind, e.id.ResourceGroup+"/"+e.id.Name)
	}
	return labelOf(e.kind, e.application.DisplayName)
}

func (e *exported) note(format string, args ...any) {
	e.notes = append(e.notes, e.String()+": "+fmt.Sprintf(format, args...))
}

func (x *exporter) note(format string, args ...any) {
	x.out.Notes = append(x.out.Notes, fmt.Sprintf(format, args...))
}

// selects says whether anything was selected by name.
func (x *exporter) selects() bool { return len(x.Applications)+len(x.Identities) > 0 }

// mayNot says whether an error is the service's opinion on what the caller may
// read, which leaves something out and stops nothing.
func (x *exporter) mayNot(err error) bool {
	e, ok := errors.AsType[*client.Error](err)
	if !ok || e.Status != forbidden {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.refused = cmp.Or(x.refused, err)
	return true
}

func (x *exporter) readApplications() error {
	var all []client.Application
	if !x.selects() {
		var err error
		if all, err = x.client.Applications(x.ctx, ""); x.mayNot(err) {
			x.note("applications are left out: the caller may not read them")
			return nil
		} else if err != nil {
			return err
		}
	}
	for _, name := range x.Applications {
		found, err := x.named(name)
		if err != nil {
			return err
		}
		all = append(all, found)
	}
	for _, a := range all {
		x.names[fold(a.DisplayName)]++
	}
	if x.selects() { // there may be others of these names
		for _, a := range all {
			if unsearchable(a.DisplayName) {
				continue
			}
			same, err := x.client.Applications(x.ctx, client.Equal("displayName", a.DisplayName))
			if err != nil {
				return err
			}
			x.names[fold(a.DisplayName)] = len(same)
		}
	}
	slices.SortFunc(all, func(a, b client.Application) int {
		return cmp.Or(cmp.Compare(fold(a.DisplayName), fold(b.DisplayName)), cmp.Compare(a.AppID, b.AppID))
	})
	all = slices.CompactFunc(all, func(a, b client.Application) bool { return a.ID == b.ID })
	for _, a := range all {
		x.holders = append(x.holders, &exported{kind: credential.Application, application: a})
	}
	return nil
}

// named finds the application that a client id, object id or name means.
func (x *exporter) named(name string) (client.Application, error) {
	if _, err := uuid.Parse(name); err == nil {
		return x.client.Application(x.ctx, name)
	}
	return x.client.ApplicationByName(x.ctx, name)
}

func (x *exporter) readIdentities() error {
	var all []client.Identity
	switch {
	case x.Subscription == "":
		if len(x.Identities) > 0 {
			return errors.New("which subscription the identities are in was not said")
		}
		x.note("managed identities and role assignments are left out: no subscription was given")
		return nil
	case !x.selects():
		var err error
		all, err = x.client.Identities(x.ctx, client.ResourceGroupID{SubscriptionID: x.Subscription, Name: x.ResourceGroup})
		if x.mayNot(err) {
			x.note("managed identities are left out: the caller may not read them")
			return nil
		} else if err != nil {
			return err
		}
	}
	for _, name := range x.Identities {
		group, name, _ := strings.Cut(name, "/")
		m, err := x.client.Identity(x.ctx, client.IdentityID{SubscriptionID: x.Subscription, ResourceGroup: group, Name: name})
		if err != nil {
			return err
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b client.Identity) int { return cmp.Compare(fold(a.ID), fold(b.ID)) })
	all = slices.CompactFunc(all, func(a, b client.Identity) bool { return same(a.ID, b.ID) })
	for _, m := range all {
		id, err := client.ParseIdentityID(m.ID)
		if err != nil {
			return err
		}
		x.holders = append(x.holders, &exported{kind: credential.ManagedIdentity, identity: m, id: id})
	}
	return nil
}

func (x *exporter) readHolders() error {
	g, ctx := errgroup.WithContext(x.ctx)
	g.SetLimit(x.Parallel)
	for _, e := range x.holders {
		g.Go(func() error {
			if err := patiently(ctx, x.Wait, func() error { return x.readHolder(ctx, e) }); err != nil {
				return fmt.Errorf("%s: %w", e, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	kept := x.holders[:0]
	for _, e := range x.holders {
		x.out.Notes = append(x.out.Notes, e.notes...)
		if e.skip {
			continue
		}
		kept = append(kept, e)
		if e.kind == credential.ManagedIdentity {
			x.groups[e.id.ResourceGroup] = true
		}
		for _, r := range e.roles {
			if group, ok := x.groupOf(r.scope); ok {
				x.groups[group] = true
			}
		}
	}
	x.holders = kept
	return nil
}

func (x *exporter) readHolder(ctx context.Context, e *exported) (err error) {
	e.grants, e.roles, e.notes = nil, nil, nil
	principalID := e.identity.PrincipalID
	if e.kind == credential.ManagedIdentity {
		e.credentials, err = x.client.IdentityCredentials(ctx, e.id)
	} else {
		e.credentials, err = x.client.ApplicationCredentials(ctx, e.application.ID)
	}
	if x.mayNot(err) {
		e.note("its federated credentials are left out: the caller may not read them")
	} else if err != nil {
		return err
	}
	if e.skip = x.Federated && len(e.credentials) == 0; e.skip {
		return nil
	}
	if e.kind == credential.Application {
		principals, err := x.client.ServicePrincipals(ctx, client.Equal("appId", e.application.AppID))
		if refused := x.mayNot(err); refused || err == nil && len(principals) == 0 {
			e.skip = true
			e.note("is left out: it has no service principal that the caller may read, and applying a file makes one")
			return nil
		} else if err != nil {
			return err
		}
		e.principal, principalID = principals[0], principals[0].ID
	}
	if err := x.readGrants(ctx, e, principalID); err != nil {
		return err
	}
	return x.readRoles(ctx, e, principalID)
}

func (x *exporter) readGrants(ctx context.Context, e *exported, principalID string) error {
	grants, err := x.client.AppRoleAssignments(ctx, principalID)
	if x.mayNot(err) {
		e.note("its app roles are left out: the caller may not read them")
		return nil
	} else if err != nil {
		return err
	}
	for _, g := range grants {
		r, err := x.resource(ctx, g.ResourceID)
		if err != nil {
			return err
		}
		if r == nil {
			e.note("its app role of %q is left out: the caller may not read that", g.ResourceDisplayName)
			continue
		}
		role := ""
		if len(r.AppRoles) > 0 || g.AppRoleID != anyRole {
			role = g.AppRoleID
			if i := slices.IndexFunc(r.AppRoles, func(a client.AppRole) bool { return same(a.ID, g.AppRoleID) && a.Value != "" }); i >= 0 {
				role = r.AppRoles[i].Value
				if a := r.AppRoles[i]; !a.IsEnabled || !slices.Contains(a.AllowedMemberTypes, "Application") {
					e.note("its app role %q of %q is left out: it is disabled, or not for applications", role, r.DisplayName)
					continue
				}
			} else if !slices.ContainsFunc(r.AppRoles, func(a client.AppRole) bool {
				return same(a.ID, g.AppRoleID) && a.IsEnabled && slices.Contains(a.AllowedMemberTypes, "Application")
			}) {
				e.note("its app role %s of %q is left out: that has no such role for applications", role, r.DisplayName)
				continue
			}
		}
		e.grants = append(e.grants, exportedGrant{r, role})
	}
	slices.SortFunc(e.grants, func(a, b exportedGrant) int {
		return cmp.Or(cmp.Compare(fold(a.resource.DisplayName), fold(b.resource.DisplayName)), cmp.Compare(a.resource.AppID, b.resource.AppID), cmp.Compare(a.role, b.role))
	})
	return nil
}

// resource reads a service principal, once; nil if the caller may not.
func (x *exporter) resource(ctx context.Context, id string) (*client.ServicePrincipal, error) {
	x.mu.Lock()
	r, asked := x.resources[id]
	x.mu.Unlock()
	if asked {
		return r, nil
	}
	list, err := x.client.ServicePrincipals(ctx, client.Equal("id", id))
	if err != nil && !x.mayNot(err) {
		return nil, err
	}
	if len(list) > 0 {
		r = &list[0]
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.resources[id] = r
	return r, nil
}

func (x *exporter) readRoles(ctx context.Context, e *exported, principalID string) error {
	if x.Subscription == "" {
		return nil
	}
	assignments, err := x.client.RoleAssignments(ctx, "/subscriptions/"+x.Subscription, principalID)
	if x.mayNot(err) {
		e.note("its roles are left out: the caller may not read them")
		return nil
	} else if err != nil {
		return err
	}
	for _, a := range assignments {
		if !same(a.PrincipalID, principalID) {
			continue // of a group that it is in
		}
		scope := cmp.Or(strings.TrimRight(a.Scope, "/"), "/")
		role, err := x.role(ctx, scope, guidOf(a.RoleDefinitionID))
		if err != nil {
			return err
		}
		switch {
		case a.Condition != "":
			e.note("its role %q at %s is left out: it has a condition, which a file cannot say", role, scope)
		case role == "":
			e.note("its role %s at %s is left out: the caller may not read it", guidOf(a.RoleDefinitionID), scope)
		default:
			e.roles = append(e.roles, exportedRole{role, scope})
		}
	}
	slices.SortFunc(e.roles, func(a, b exportedRole) int { return cmp.Or(cmp.Compare(a.scope, b.scope), cmp.Compare(a.role, b.role)) })
	return nil
}

// role is the name of a role, or its GUID where several have the name; empty if the
// caller may not read it.
func (x *exporter) role(ctx context.Context, scope, guid string) (string, error) {
	key := fold(scope) + " " + guid
	x.mu.Lock()
	name, asked := x.definitions[key]
	x.mu.Unlock()
	if asked {
		return name, nil
	}
	d, there, err := found(x.client.RoleDefinition(ctx, scope, guid))
	if there {
		var all []client.RoleDefinition
		all, err = x.client.RoleDefinitions(ctx, scope, client.Equal("roleName", d.RoleName))
		if name = guid; len(all) == 1 {
			name = d.RoleName
		}
	}
	if err != nil && !x.mayNot(err) {
		return "", err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.definitions[key] = name
	return name, nil
}

// groupOf is the resource group that a scope is, in the subscription.
func (x *exporter) groupOf(scope string) (string, bool) {
	s := strings.Split(scope, "/") // "", subscriptions, ID, resourceGroups, NAME
	if len(s) == 5 && same(s[1], "subscriptions") && same(s[2], x.Subscription) && same(s[3], "resourceGroups") {
		return s[4], true
	}
	return "", false
}

// readFederation reads what Entente has and Azure has not.
func (x *exporter) readFederation() error {
	if x.target.Service == azure {
		return nil
	}
	if !x.selects() {
		policy, err := x.client.Policy(x.ctx)
		if x.mayNot(err) {
			x.note("the policy is left out: the caller may not read it")
		} else if err != nil {
			return err
		} else {
			if policy.MaxFederatedIdentityCredentials != credential.DefaultLimit {
				x.policy.MaxFederatedIdentityCredentials = policy.MaxFederatedIdentityCredentials
			}
			if policy.RegisteredIssuersOnly != nil && *policy.RegisteredIssuersOnly {
				x.policy.RegisteredIssuersOnly = policy.RegisteredIssuersOnly
			}
		}
	}
	all, err := x.client.Issuers(x.ctx)
	if x.mayNot(err) {
		x.note("issuers are left out: the caller may not read them")
		return nil
	} else if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, e := range x.holders {
		for _, c := range e.credentials {
			used[c.Issuer] = true
		}
	}
	for _, i := range all {
		if i.Implicit || i.KeySource == client.HostedKeys || x.selects() && !used[i.Issuer] {
			continue // made by credentials and clusters themselves
		}
		if i.KeySource == client.UploadedKeys { // which a list leaves out
			if i, err = x.client.Issuer(x.ctx, i.Name); x.mayNot(err) {
				x.note("an issuer is left out: the caller may not read its keys")
				continue
			} else if err != nil {
				return err
			}
		}
		x.issuers = append(x.issuers, i)
		x.issuerNames[i.Issuer] = i.Name
	}
	slices.SortFunc(x.issuers, func(a, b client.Issuer) int { return cmp.Compare(fold(a.Name), fold(b.Name)) })
	return nil
}
