package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
)

// ficParent is whose credentials they are: an application or a managed identity.
type ficParent struct {
	Kind     credential.ParentKind `json:"kind"`
	Name     string                `json:"name"`
	ID       string                `json:"id"` // object id, or resource id
	ClientID string                `json:"clientId"`

	identity client.IdentityID
}

func (p ficParent) String() string {
	if p.Kind == credential.ManagedIdentity {
		return fmt.Sprintf("the managed identity %q", p.Name)
	}
	return fmt.Sprintf("the application %q", p.Name)
}

// flag names the parent on a command line.
func (p ficParent) flag() string {
	if p.Kind == credential.ManagedIdentity {
		return "--managed-identity " + quote(p.identity.Name) + " -g " + quote(p.identity.ResourceGroup)
	}
	return "--application " + quote(p.ClientID)
}

// findParent asks the service for the parent that the flags name. A name that
// several applications have is an error with their ids.
func findParent(ctx context.Context, s *session, o *ficOptions) (ficParent, error) {
	if o.identity != "" {
		id := client.IdentityID{ResourceGroup: o.group, Name: o.identity}
		var err error
		if strings.HasPrefix(o.identity, "/") {
			id, err = client.ParseIdentityID(o.identity)
			err = usage(err)
		} else {
			id.SubscriptionID, err = s.subscriptionID(ctx, o.subscription)
		}
		if err != nil {
			return ficParent{}, err
		}
		i, err := s.client.Identity(ctx, id)
		err = s.list(inGroup(err, "managed identity", id.Name, client.ResourceGroupID{SubscriptionID: id.SubscriptionID, Name: id.ResourceGroup}),
			"entente export -g "+quote(id.ResourceGroup), "az identity list --subscription "+quote(id.SubscriptionID)+" -o table")
		return ficParent{credential.ManagedIdentity, i.Name, i.ID, i.ClientID, id}, err
	}
	var a client.Application
	var err error
	if _, notID := uuid.Parse(o.application); notID == nil {
		if a, err = s.client.Application(ctx, o.application); errors.Is(err, client.ErrNotFound) {
			err = notThere("there is no application with the client or object id %s", o.application)
		}
	} else if a, err = s.client.ApplicationByName(ctx, o.application); errors.Is(err, client.ErrNotFound) {
		err = notThere("there is no application named %q", o.application)
	}
	err = s.list(err, "entente export", "az ad app list --all -o table")
	if ambiguous, ok := errors.AsType[*client.AmbiguousError](err); ok {
		err = hint(err, "choose one by its id: --application %s", ambiguous.IDs[0])
	}
	return ficParent{Kind: credential.Application, Name: a.DisplayName, ID: a.ID, ClientID: a.AppID}, err
}

func (p ficParent) list(ctx context.Context, s *session) ([]client.FederatedCredential, error) {
	if p.Kind == credential.ManagedIdentity {
		return s.client.IdentityCredentials(ctx, p.identity)
	}
	return s.client.ApplicationCredentials(ctx, p.ID)
}

func (p ficParent) get(ctx context.Context, s *session, name string) (client.FederatedCredential, error) {
	if p.Kind == credential.ManagedIdentity {
		return s.client.IdentityCredential(ctx, p.identity, name)
	}
	return s.client.ApplicationCredential(ctx, p.ID, name)
}

func (p ficParent) create(ctx context.Context, s *session, c client.FederatedCredential) (client.FederatedCredential, error) {
	if p.Kind == credential.ManagedIdentity {
		made, _, err := s.client.PutIdentityCredential(ctx, p.identity, c)
		return made, err
	}
	return s.client.CreateApplicationCredential(ctx, p.ID, c)
}

// update makes the credential with c's name as c is.
func (p ficParent) update(ctx context.Context, s *session, c client.FederatedCredential) error {
	if p.Kind == credential.ManagedIdentity {
		_, _, err := s.client.PutIdentityCredential(ctx, p.identity, c)
		return err
	}
	return s.client.UpdateApplicationCredential(ctx, p.ID, c.Name, client.FederatedCredentialUpdate{
		Issuer: c.Issuer, Subject: c.Subject, Audiences: c.Audiences, Description: &c.Description,
	})
}

func (p ficParent) remove(ctx context.Context, s *session, c client.FederatedCredential) error {
	if p.Kind == credential.ManagedIdentity {
		return s.client.DeleteIdentityCredential(ctx, p.identity, c.Name)
	}
	return s.client.DeleteApplicationCredential(ctx, p.ID, c.Name)
}

// limitOf is how many credentials a parent may have: Azure's 20, or what the service
// says if it does.
func limitOf(ctx context.Context, s *session) int {
	if !s.azure {
		if policy, err := s.client.Policy(ctx); err == nil && policy.MaxFederatedIdentityCredentials > 0 {
			return policy.MaxFederatedIdentityCredentials
		}
	}
	return credential.DefaultLimit
}
