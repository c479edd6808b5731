package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
)

// parent is an application or a managed identity, with its credentials.
type parent struct {
	ClientID, Name, objectID string
	identity                 client.IdentityID // empty for an application
	credentials              []client.FederatedCredential
}

func (p *parent) String() string {
	if p.identity.Name != "" {
		return fmt.Sprintf("managed identity %q of group %q", p.identity.Name, p.identity.ResourceGroup)
	}
	return fmt.Sprintf("application %q (client id %s)", p.Name, p.ClientID)
}

func (p *parent) trusts() []credential.Trust {
	all := make([]credential.Trust, len(p.credentials))
	for i, f := range p.credentials {
		all[i] = credential.Trust{ID: f.Name, Issuer: f.Issuer, Subject: f.Subject}
		if len(f.Audiences) > 0 {
			all[i].Audience = f.Audiences[0]
		}
	}
	return all
}

func (x *exam) assertion() credential.Assertion {
	return credential.Assertion{Issuer: x.issuer, Subject: x.subject, Audiences: x.audiences}
}

func (x *exam) manyAudiences() bool {
	return x.registered != nil && x.registered.AllowMultipleAudiences
}

// refusedToRead says that a caller may not read something, and not that it is not there.
func refusedToRead(err error) bool {
	if e, ok := errors.AsType[*client.Error](err); ok {
		return e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized
	}
	_, ok := errors.AsType[*client.TokenError](err)
	return ok
}

// 9. The client, and its credentials.
func (x *exam) checkClient(ctx context.Context) {
	c := x.check(clientCheck)
	x.report.ClientID, x.report.Tenant = x.clientID, x.tenant
	x.report.Issuer, x.report.Subject, x.report.Audience = x.issuer, x.subject, strings.Join(x.audiences, " ")
	switch {
	case x.tenantError != nil:
		if e, ok := errors.AsType[*client.TokenError](x.tenantError); ok && (e.HasCode(90002) || e.HasCode(900023) || e.HasCode(900021)) {
			c.find(fault(TenantNotFound, fmt.Sprintf("the authority knows no tenant %q", x.tenant)).saw(x.tenant, cmp.Or(x.Target.TenantID, "the id of a tenant of "+x.Target.Authority)).mend(x.tenantMends()...))
			return
		}
	}
	if x.clientID == "" {
		c.skip("no client id is known")
		x.proposeClient(ctx)
		return
	}
	if !isClientID(x.clientID) {
		if f := x.check(accountCheck).failed(); f != nil && f.Cause == ClientIDMalformed {
			c.skip("what stands for the client id is none, as check 2 says")
			return
		}
		c.find(x.noClientID(ctx))
		return
	}
	if x.Target.Client == nil {
		c.find(unknown("which credentials the client has cannot be told: nobody is known who could read them"))
		return
	}
	if !strings.EqualFold(x.tenant, x.Target.TenantID) && uuid.Validate(x.tenant) == nil && x.Target.TenantID != "" {
		c.find(unknown(fmt.Sprintf("the workload is of tenant %s, and the credentials that can be read are those of tenant %s", x.tenant, x.Target.TenantID)))
		return
	}
	x.say("reading the credentials of client %s", x.clientID)
	p, findings := x.lookUp(ctx)
	c.find(findings...)
	x.parent = p
	if p == nil {
		return
	}
	if c.failed() == nil {
		c.pass(fmt.Sprintf("%s with %s", p, counted(len(p.credentials), "credential")), "")
	}
}

func (x *exam) tenantMends() []Mend {
	if x.account == nil || x.Target.TenantID == "" || x.account.Annotations[tenantAnnotation] == "" {
		return nil
	}
	return []Mend{x.withRestart(Mend{Text: "name the tenant in the annotation", Commands: []string{x.annotate(x.account.Name, tenantAnnotation, x.Target.TenantID)}})}
}

// lookUp finds the client. A nil parent has a finding that says why.
func (x *exam) lookUp(ctx context.Context) (*parent, []Finding) {
	graph := x.Target.Client
	principal, err := graph.ServicePrincipal(ctx, x.clientID)
	missing := errors.Is(err, client.ErrNotFound)
	if err != nil && !missing {
		return x.lookUpIdentity(ctx, err)
	}
	var all []Finding
	if !missing && !strings.EqualFold(principal.AppID, x.clientID) {
		return nil, []Finding{x.objectID(principal.AppID, principal.DisplayName)}
	}
	if !missing && !principal.AccountEnabled {
		all = append(all, fault(ClientDisabled, fmt.Sprintf("the service principal of %q is disabled", principal.DisplayName)).saw("accountEnabled false", "true").
			mend(x.enable(principal)))
	}
	if !missing && principal.ServicePrincipalType == "ManagedIdentity" {
		p, err := x.identityOf(ctx, principal)
		if err != nil {
			return nil, append(all, unknown("which credentials the managed identity has cannot be told: "+err.Error()))
		}
		return p, all
	}
	app, err := graph.Application(ctx, x.clientID)
	switch {
	case errors.Is(err, client.ErrNotFound) && missing:
		return nil, []Finding{x.gone(ctx)}
	case errors.Is(err, client.ErrNotFound):
		return nil, append(all, unknown(fmt.Sprintf("%q is an application of another tenant: which credentials it has can be told only there", principal.DisplayName)))
	case err != nil:
		return nil, append(all, x.cannotRead(err))
	case !strings.EqualFold(app.AppID, x.clientID):
		return nil, []Finding{x.objectID(app.AppID, app.DisplayName)}
	}
	if missing {
		all = append(all, fault(PrincipalMissing, fmt.Sprintf("the application %q has no service principal in the tenant", app.DisplayName)).saw("none", "one").mend(x.principalMend(app.AppID)))
	}
	p := &parent{ClientID: app.AppID, Name: app.DisplayName, objectID: app.ID}
	if p.credentials, err = graph.ApplicationCredentials(ctx, app.ID); err != nil {
		return nil, append(all, x.cannotRead(err))
	}
	return p, all
}

func isClientID(s string) bool { return len(s) == 36 && uuid.Validate(s) == nil }

// noClientID is the finding that something else stands where the client id should:
// most often a name.
func (x *exam) noClientID(ctx context.Context) Finding {
	f := fault(ClientNotFound, fmt.Sprintf("%q of %s is no client id", x.clientID, x.clientFrom)).saw(x.clientID, "a GUID")
	if x.Target.Client == nil {
		return f
	}
	apps, err := x.Target.Client.Applications(ctx, client.Equal("displayName", x.clientID))
	if err != nil {
		return f
	}
	for _, a := range apps[:min(len(apps), 3)] {
		f = f.mend(Mend{When: fmt.Sprintf("it is to be the application %q", a.DisplayName), Text: "its client id is " + a.AppID})
	}
	return f
}

func (x *exam) cannotRead(err error) Finding {
	if refusedToRead(err) {
		return unknown("which credentials the client has cannot be told: whoever asks here may not read them; somebody who may can").
			mend(Mend{Text: "have somebody list them who may", Commands: x.list(x.clientID)})
	}
	return unknown("which credentials the client has cannot be told: " + err.Error())
}

// lookUpIdentity finds a managed identity by Resource Manager alone, for those
// who may read there and not in Graph.
func (x *exam) lookUpIdentity(ctx context.Context, cause error) (*parent, []Finding) {
	if !refusedToRead(cause) {
		return nil, []Finding{x.cannotRead(cause)}
	}
	identities, err := x.identities(ctx)
	if err != nil {
		return nil, []Finding{x.cannotRead(cause)}
	}
	for _, i := range identities {
		if strings.EqualFold(i.ClientID, x.clientID) {
			p, err := x.withCredentials(ctx, i)
			if err != nil {
				return nil, []Finding{x.cannotRead(err)}
			}
			return p, nil
		}
	}
	return nil, []Finding{x.cannotRead(cause)}
}

func (x *exam) identities(ctx context.Context) ([]client.Identity, error) {
	subscriptions, err := x.Target.Client.Subscriptions(ctx)
	if err != nil {
		return nil, err
	}
	var all []client.Identity
	for _, s := range subscriptions {
		some, err := x.Target.Client.Identities(ctx, client.ResourceGroupID{SubscriptionID: s.SubscriptionID})
		if err != nil {
			return all, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func (x *exam) withCredentials(ctx context.Context, i client.Identity) (*parent, error) {
	id, err := client.ParseIdentityID(i.ID)
	if err != nil {
		return nil, err
	}
	p := &parent{ClientID: i.ClientID, Name: i.Name, objectID: i.PrincipalID, identity: id}
	p.credentials, err = x.Target.Client.IdentityCredentials(ctx, id)
	return p, err
}

// identityOf finds the managed identity of a service principal, which names it.
func (x *exam) identityOf(ctx context.Context, principal client.ServicePrincipal) (*parent, error) {
	for _, name := range principal.AlternativeNames {
		if id, err := client.ParseIdentityID(name); err == nil {
			p := &parent{ClientID: principal.AppID, Name: id.Name, objectID: principal.ID, identity: id}
			p.credentials, err = x.Target.Client.IdentityCredentials(ctx, id)
			return p, err
		}
	}
	return nil, errors.New("its service principal does not name it; one that the system assigns has none")
}

// objectID is the finding that an object's id stands where its client id should.
func (x *exam) objectID(clientID, name string) Finding {
	f := fault(ClientIsObjectID, fmt.Sprintf("this is the object id of %q, where its client id should stand", name)).saw(x.clientID, clientID)
	if x.account != nil {
		f = f.mend(x.withRestart(Mend{Text: "write the client id", Commands: []string{x.annotate(x.account.Name, clientAnnotation, clientID)}}))
	}
	return f
}

func (x *exam) enable(p client.ServicePrincipal) Mend {
	return Mend{When: "it was not disabled on purpose", Text: "enable it", Commands: []string{line("az", "ad", "sp", "update", "--id", p.ID, "--set", "accountEnabled=true")}}
}

func (x *exam) principalMend(clientID string) Mend {
	return Mend{Text: "make it", Commands: []string{line("az", "ad", "sp", "create", "--id", clientID)}}
}

// gone is the finding that no such client is there.
func (x *exam) gone(ctx context.Context) Finding {
	deleted, err := x.Target.Client.DeletedApplications(ctx, client.Equal("appId", x.clientID))
	if err == nil && len(deleted) > 0 {
		app := deleted[0]
		url := strings.TrimRight(x.Target.Client.Endpoints().Graph, "/") + "/v1.0/directory/deletedItems/" + app.ID + "/restore"
		return fault(ClientDeleted, fmt.Sprintf("the application %q was deleted", app.DisplayName)).saw("a deleted application", "one that is there").
			mend(
				Mend{When: "it was deleted by mistake", Text: "restore it, with its client id and its credentials", Commands: []string{line("az", "rest", "--method", "post", "--url", url)}},
				Mend{When: "another has taken its place", Text: "name that in the annotation " + clientAnnotation},
			)
	}
	f := fault(ClientNotFound, fmt.Sprintf("the tenant has no application and no managed identity with the client id %s", x.clientID)).saw(x.clientID, "a client id of tenant "+x.tenant)
	f.Text += ": it was deleted, or the id or the tenant is another; which of them cannot be told"
	return f
}

// elsewhere finds clients with a credential that fits. It looks at some
// applications and identities only, and says whether it has seen all.
func (x *exam) elsewhere(ctx context.Context) (found []*parent, all bool) {
	if x.Target.Client == nil || x.issuer == "" || x.subject == "" {
		return nil, false
	}
	x.say("looking for the credential at other clients")
	ctx, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	var parents []*parent
	all = true
	apps, err := x.Target.Client.Applications(ctx, "")
	all = all && err == nil
	for _, a := range apps {
		parents = append(parents, &parent{ClientID: a.AppID, Name: a.DisplayName, objectID: a.ID})
	}
	identities, err := x.identities(ctx)
	all = all && err == nil
	for _, i := range identities {
		if id, err := client.ParseIdentityID(i.ID); err == nil {
			parents = append(parents, &parent{ClientID: i.ClientID, Name: i.Name, objectID: i.PrincipalID, identity: id})
		}
	}
	if len(parents) > searchParents {
		parents, all = parents[:searchParents], false
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	slots := make(chan struct{}, 8)
	for _, p := range parents {
		if x.parent != nil && strings.EqualFold(p.ClientID, x.parent.ClientID) {
			continue
		}
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			var err error
			if p.identity.Name != "" {
				p.credentials, err = x.Target.Client.IdentityCredentials(ctx, p.identity)
			} else {
				p.credentials, err = x.Target.Client.ApplicationCredentials(ctx, p.objectID)
			}
			_, miss := credential.Match(p.trusts(), x.assertion(), x.manyAudiences())
			mu.Lock()
			defer mu.Unlock()
			all = all && err == nil
			if err == nil && miss == credential.Hit {
				found = append(found, p)
			}
		})
	}
	group.Wait()
	slices.SortFunc(found, func(a, b *parent) int { return cmp.Compare(a.Name+a.ClientID, b.Name+b.ClientID) })
	return found, all
}

// Bounds of the search for a credential at other clients.
const (
	searchParents = 300
	searchTime    = 20 * time.Second
)

// proposeClient says which client a service account without annotation may be.
func (x *exam) proposeClient(ctx context.Context) {
	account := x.check(accountCheck)
	for i := range account.Findings {
		f := &account.Findings[i]
		if f.Cause != ClientIDMissing {
			continue
		}
		found, all := x.elsewhere(ctx)
		for _, p := range found {
			m := x.withRestart(Mend{Text: "it is the " + p.String() + ", whose credential trusts this service account", Commands: []string{x.annotate(x.account.Name, clientAnnotation, p.ClientID)}})
			if len(found) > 1 {
				m.When = "it is to be the " + p.String()
			}
			f.Mends = append(f.Mends, m)
		}
		if len(found) != 1 {
			switch {
			case len(found) > 1:
				f.Text += "; several clients trust it, and which of them is meant cannot be told"
			case all:
				f.Text += "; no client trusts it yet, so which one is meant cannot be told"
			default:
				f.Text += "; which one is meant cannot be told"
			}
		}
		if len(found) == 0 {
			f.Mends = append(f.Mends, x.withRestart(Mend{Text: "annotate it with the client id of its application or managed identity", Commands: []string{x.annotate(x.account.Name, clientAnnotation, "CLIENT_ID")}}))
		}
	}
}
