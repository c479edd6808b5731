package directory_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

// TestEscalation tries to come by rights that only administrators give. Every
// attempt is refused, leaves no event and changes nothing.
func TestEscalation(t *testing.T) {
	der := selfSigned(t, "mine")
	each(t, func(w *world) {
		sub := "/subscriptions/" + w.subscription
		g := w.group("g")

		// The targets: the founder, an application of somebody else's that holds
		// a right of ours on one issuer, and a managed identity that administers.
		founder := client{Caller: w.admin}
		var err error
		founder.app, err = w.dir.Application(w.ctx(), w.system, directory.Ref{AppID: w.founded.AdministratorClientID})
		w.ok(err)
		founder.principal, err = w.dir.ServicePrincipal(w.ctx(), w.system, directory.Ref{AppID: w.founded.AdministratorClientID})
		w.ok(err)
		w.credential(founder.parent(), "there")
		founder.app.Secrets = w.secrets(founder)
		keeper := w.holder("keeper of prod", roles.FederationAdministrator, "/providers/Entente.Federation/issuers/prod")
		w.credential(keeper.parent(), "there")
		_, _, err = w.dir.AddSecret(w.ctx(), w.system, keeper.ref(), directory.NewSecret{})
		w.ok(err)
		keeper.app.Secrets = w.secrets(keeper)
		machine := w.identity("g", "machine")
		w.credential(parentIdentity(machine), "there")
		w.assign(machine.PrincipalID, roles.FederationAdministrator, "/")
		deleted := w.holder("deleted administrator", roles.FederationAdministrator, "/")
		w.ok(w.dir.DeleteApplication(w.ctx(), w.admin, deleted.ref()))
		assignments, err := w.dir.RoleAssignments(w.ctx(), w.system, "/", directory.AssignmentFilter{AtScope: true, PrincipalID: founder.PrincipalID})
		w.ok(err)
		grants, err := w.dir.Grants(w.ctx(), w.system, founder.principalRef())
		w.ok(err)
		graph := w.graph()

		// The attackers: each holds the most that is not an administrator's.
		writer := w.client("writer", "Application.ReadWrite.All", "Directory.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "Application.ReadWrite.OwnedBy")
		w.assign(writer.PrincipalID, roles.Owner, "/")
		w.assign(writer.PrincipalID, roles.UserAccessAdministrator, "/")
		owner := w.client("owner", "Application.ReadWrite.OwnedBy")
		for _, c := range []client{founder, keeper} {
			w.ok(w.dir.AddOwner(w.ctx(), w.admin, c.ref(), owner.PrincipalID))
		}
		contributor := w.holder("contributor", roles.Contributor, g.Scope())
		rootReader := w.holder("federation reader", roles.FederationReader, "/")
		w.assign(rootReader.PrincipalID, roles.Owner, "/")
		issuerAdmin := w.holder("administrator of mine", roles.FederationAdministrator, "/providers/Entente.Federation/issuers/mine")
		w.assign(issuerAdmin.PrincipalID, roles.Owner, "/")
		_, _, err = w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "mine", URL: "https://mine.example"})
		w.ok(err)
		_, otherAdmin := w.otherTenant()

		type attempt struct {
			name string
			do   func() error
		}
		var attempts []attempt
		add := func(name string, do func() error) { attempts = append(attempts, attempt{name, do}) }

		for _, c := range []struct {
			name   string
			target client
		}{{"founder", founder}, {"keeper", keeper}} {
			target := c.target
			for _, by := range []client{writer, owner} {
				name := by.app.DisplayName + " on " + c.name + ": "
				add(name+"secret", func() error {
					_, _, err := w.dir.AddSecret(w.ctx(), by.Caller, target.ref(), directory.NewSecret{})
					return err
				})
				add(name+"secret of the service principal", func() error {
					_, _, err := w.dir.AddPrincipalSecret(w.ctx(), by.Caller, directory.Ref{AppID: target.app.AppID}, directory.NewSecret{})
					return err
				})
				add(name+"remove a secret of the service principal", func() error {
					return w.dir.RemovePrincipalSecret(w.ctx(), by.Caller, directory.Ref{AppID: target.app.AppID}, target.app.Secrets[0].ID)
				})
				add(name+"certificate of the service principal", func() error {
					return w.dir.UpdateServicePrincipal(w.ctx(), by.Caller, directory.Ref{AppID: target.app.AppID}, directory.PrincipalEdit{Certificates: &[]directory.Certificate{{DER: der}}})
				})
				add(name+"remove secret", func() error { return w.dir.RemoveSecret(w.ctx(), by.Caller, target.ref(), target.app.Secrets[0].ID) })
				add(name+"credential", func() error { return none(w.dir.AddCredential(w.ctx(), by.Caller, target.parent(), spec("mine"))) })
				add(name+"put credential", func() error {
					_, _, err := w.dir.PutCredential(w.ctx(), by.Caller, target.parent(), spec("there"))
					return err
				})
				add(name+"update credential", func() error {
					_, _, err := w.dir.UpdateCredential(w.ctx(), by.Caller, target.parent(), "there", directory.CredentialEdit{Subject: ptr("mine")}, true)
					return err
				})
				add(name+"remove credential", func() error { return w.dir.RemoveCredential(w.ctx(), by.Caller, target.parent(), "there") })
				add(name+"application", func() error {
					return none(w.dir.UpdateApplication(w.ctx(), by.Caller, target.ref(), func(*directory.Application) error {
						t.Error("the edit of an application that may not be changed ran")
						return nil
					}))
				})
				add(name+"add owner", func() error { return w.dir.AddOwner(w.ctx(), by.Caller, target.ref(), by.PrincipalID) })
				add(name+"remove owner", func() error { return w.dir.RemoveOwner(w.ctx(), by.Caller, target.ref(), owner.PrincipalID) })
				add(name+"delete", func() error { return w.dir.DeleteApplication(w.ctx(), by.Caller, target.ref()) })
				add(name+"disable", func() error {
					return w.dir.UpdateServicePrincipal(w.ctx(), by.Caller, target.principalRef(), directory.PrincipalEdit{Enabled: ptr(false)})
				})
				add(name+"delete service principal", func() error {
					return w.dir.DeleteServicePrincipal(w.ctx(), by.Caller, directory.Ref{AppID: target.app.AppID})
				})
				add(name+"shouted id", func() error {
					_, _, err := w.dir.AddSecret(w.ctx(), by.Caller, directory.Ref{ID: strings.ToUpper(target.app.ID)}, directory.NewSecret{})
					return err
				})
				add(name+"by client id", func() error {
					_, _, err := w.dir.AddSecret(w.ctx(), by.Caller, directory.Ref{AppID: target.app.AppID}, directory.NewSecret{})
					return err
				})
			}
			for _, id := range []string{target.PrincipalID, strings.ToUpper(target.PrincipalID)} {
				add("grant to "+c.name, func() error {
					return none(w.dir.AddGrant(w.ctx(), writer.Caller, directory.Grant{PrincipalID: id, ResourceID: graph.ID, AppRoleID: permissionID("Directory.ReadWrite.All")}))
				})
			}
		}
		add("restore a deleted administrator", func() error { return none(w.dir.RestoreApplication(w.ctx(), writer.Caller, deleted.app.ID)) })
		add("purge a deleted administrator", func() error { return w.dir.PurgeApplication(w.ctx(), writer.Caller, deleted.app.ID) })
		add("take the founder's grant, by its holder", func() error { return w.dir.RemoveGrant(w.ctx(), writer.Caller, founder.PrincipalID, grants[0].ID) })
		add("take the founder's grant, by the resource", func() error { return w.dir.RemoveGrant(w.ctx(), writer.Caller, graph.ID, grants[0].ID) })
		add("take the founder's role", func() error {
			return none(w.dir.RemoveRoleAssignment(w.ctx(), writer.Caller, "/", assignments[0].Name))
		})
		for _, c := range []client{writer, rootReader, issuerAdmin} {
			for _, role := range []string{roles.FederationAdministrator, roles.FederationReader} {
				for _, scope := range []string{"/", sub, g.Scope(), "/providers/Entente.Federation/issuers/prod"} {
					add(c.app.DisplayName+" gives "+role+" on "+scope, func() error {
						return none(w.dir.AddRoleAssignment(w.ctx(), c.Caller, directory.RoleAssignment{Name: uuid.NewString(), Scope: scope, DefinitionID: strings.ToUpper(role), PrincipalID: c.PrincipalID}))
					})
				}
			}
		}
		for _, by := range []client{contributor, writer} {
			p := parentIdentity(machine)
			name := by.app.DisplayName + " on machine: "
			add(name+"credential", func() error { return none(w.dir.AddCredential(w.ctx(), by.Caller, p, spec("mine"))) })
			add(name+"put credential", func() error { _, _, err := w.dir.PutCredential(w.ctx(), by.Caller, p, spec("there")); return err })
			add(name+"update credential", func() error {
				_, _, err := w.dir.UpdateCredential(w.ctx(), by.Caller, p, "there", directory.CredentialEdit{Subject: ptr("mine")}, false)
				return err
			})
			add(name+"remove credential", func() error { return w.dir.RemoveCredential(w.ctx(), by.Caller, p, "there") })
			add(name+"delete", func() error { return w.dir.DeleteIdentity(w.ctx(), by.Caller, machine.IdentityRef) })
			add(name+"delete its group", func() error { return w.dir.DeleteGroup(w.ctx(), by.Caller, w.subscription, "g") })
			add(name+"disable", func() error {
				return w.dir.UpdateServicePrincipal(w.ctx(), by.Caller, directory.Ref{ID: machine.PrincipalID}, directory.PrincipalEdit{Enabled: ptr(false)})
			})
		}
		// A right on one issuer, there or not yet there, is none on the URL that the founder's credential names.
		future := w.holder("administrator of what is not there", roles.FederationAdministrator, "/providers/Entente.Federation/issuers/future")
		add("adopt the founder's issuer under a name of one's own", func() error {
			_, _, err := w.dir.PutIssuer(w.ctx(), future.Caller, directory.Issuer{Name: "future", URL: issuerURL, KeySource: directory.UploadedKeys, KeySet: keySet})
			return err
		})
		add("make an issuer under a name of one's own", func() error {
			_, _, err := w.dir.PutIssuer(w.ctx(), future.Caller, directory.Issuer{Name: "FUTURE", URL: "https://future.example", KeySource: directory.UploadedKeys, KeySet: keySet})
			return err
		})
		for _, name := range []string{"mine2", "prod", "MINE-2"} {
			add("adopt the founder's issuer as "+name, func() error {
				_, _, err := w.dir.PutIssuer(w.ctx(), issuerAdmin.Caller, directory.Issuer{Name: name, URL: issuerURL, KeySource: directory.UploadedKeys, KeySet: keySet})
				return err
			})
		}
		add("move an issuer to the founder's", func() error {
			_, _, err := w.dir.PutIssuer(w.ctx(), issuerAdmin.Caller, directory.Issuer{Name: "mine", URL: issuerURL, KeySource: directory.UploadedKeys, KeySet: keySet})
			return err
		})
		add("remove a prefix of an issuer's scope", func() error { return w.dir.RemoveIssuer(w.ctx(), issuerAdmin.Caller, "min") })
		add("policy", func() error {
			return none(w.dir.SetPolicy(w.ctx(), writer.Caller, directory.PolicyEdit{MaxCredentials: ptr(100)}))
		})
		add("tenant", func() error { return none(w.dir.CreateTenant(w.ctx(), writer.Caller, directory.NewTenant{})) })
		add("events", func() error {
			return none(w.dir.Events(w.ctx(), writer.Caller, directory.EventFilter{}, directory.Page{}))
		})
		add("another tenant's administrator makes tenants", func() error { return none(w.dir.CreateTenant(w.ctx(), otherAdmin, directory.NewTenant{})) })
		add("a caller of the wrong tenant", func() error {
			c := otherAdmin
			c.TenantID = w.tenant.ID
			return none(w.dir.Events(w.ctx(), c, directory.EventFilter{}, directory.Page{}))
		})
		add("a scope that climbs", func() error {
			return none(w.dir.Group(w.ctx(), contributor.Caller, w.subscription, "g/../elsewhere"))
		})
		add("a group that is a path", func() error {
			_, _, err := w.dir.PutIdentity(w.ctx(), contributor.Caller, w.newIdentity("g/providers/x", "mine"))
			return err
		})
		add("a subscription that is a path", func() error {
			return none(w.dir.Identities(w.ctx(), contributor.Caller, w.subscription+"/resourceGroups/g", "", directory.Page{}))
		})
		add("an issuer that is a path", func() error { return none(w.dir.Issuer(w.ctx(), issuerAdmin.Caller, "mine/../prod")) })

		for _, a := range attempts {
			before := w.state()
			switch kind := directory.Kind(kindOf(a.do())); kind {
			case directory.Forbidden, directory.NotFound, directory.Unauthenticated, directory.Immutable:
			default:
				w.Errorf("%s: got %s", a.name, kind)
			}
			if after := w.state(); after != before {
				w.Errorf("%s: a refused write left something behind:\n%s\n%s", a.name, before, after)
			}
		}
		// An administrator may do all of it.
		_, err = w.dir.AddCredential(w.ctx(), w.admin, parentIdentity(machine), spec("mine"))
		w.ok(err)
		_, err = w.dir.RestoreApplication(w.ctx(), w.admin, deleted.app.ID)
		w.ok(err)
		_, err = w.dir.AddRoleAssignment(w.ctx(), w.admin, directory.RoleAssignment{Name: uuid.NewString(), Scope: "/", DefinitionID: roles.FederationReader, PrincipalID: writer.PrincipalID})
		w.ok(err)
		_, _, err = w.dir.PutIssuer(w.ctx(), issuerAdmin.Caller, directory.Issuer{Name: "mine", URL: "https://mine.example", KeySource: directory.UploadedKeys, KeySet: keySet})
		w.ok(err)
	})
}

func (w *world) secrets(c client) []directory.Secret {
	w.Helper()
	a, err := w.dir.Application(w.ctx(), w.system, c.ref())
	w.ok(err)
	return a.Secrets
}

// state sums up what rights hang off.
func (w *world) state() string {
	w.Helper()
	var b strings.Builder
	for _, text := range []string{
		`count(*) + sum(max_credentials) FROM tenants`, `count(*) + sum(revision) + sum(deleted_at) FROM applications`, `count(*) FROM secrets`,
		`count(*) + sum(revision) + sum(enabled) FROM service_principals`, `count(*) FROM owners`, `count(*) + sum(length(subject)) FROM credentials`,
		`count(*) + sum(revision) FROM issuers`, `count(*) FROM app_role_assignments`, `count(*) FROM role_assignments`,
		`count(*) + sum(revision) FROM managed_identities`, `count(*) + coalesce(sum(revision), 0) FROM clusters`, `count(*) FROM service_accounts`, `count(*) FROM resource_groups`, `count(*) FROM portal_links`, `count(*) FROM portal_sessions`, `count(*) FROM audit_events`,
	} {
		var n int64
		w.ok(w.db.Read().QueryRowContext(w.ctx(), `SELECT CAST(`+strings.Replace(text, " FROM", " AS BIGINT) FROM", 1)).Scan(&n))
		fmt.Fprintln(&b, text, n)
	}
	return b.String()
}

// Whoever may write credentials names any issuer, and gets its tokens judged by
// what an administrator set for it, never by keys of its own.
func TestCredentialWriterSetsNoKeys(t *testing.T) {
	each(t, func(w *world) {
		writer, target := w.client("writer", "Application.ReadWrite.All"), w.client("target")
		_, _, err := w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "prod", URL: issuerURL, KeySource: directory.UploadedKeys, KeySet: keySet})
		w.ok(err)
		_, err = w.dir.AddCredential(w.ctx(), writer.Caller, target.parent(), spec("one"))
		w.ok(err)
		m := w.match(target.AppID, spec("one"))
		if m.Miss != credential.Hit || m.Issuer.KeySource != directory.UploadedKeys || m.Issuer.Implicit {
			w.Errorf("got %+v", m.Issuer)
		}
	})
}
