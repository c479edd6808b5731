package client

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The versions of the ARM providers that this package speaks.
const (
	identityVersion      = "2024-11-30" // Microsoft.ManagedIdentity
	resourceVersion      = "2021-04-01" // Microsoft.Resources, resource groups
	subscriptionVersion  = "2022-12-01" // Microsoft.Resources, subscriptions and tenants
	authorizationVersion = "2022-04-01" // Microsoft.Authorization
	clusterVersion       = "2022-11-01" // Microsoft.ContainerService
	federationVersion    = "2026-11-01" // Entente.Federation
)

// resource is the envelope that every ARM object has.
type resource[P any] struct {
	ID         string            `json:"id,omitempty"`
	Name       string            `json:"name,omitempty"`
	Location   string            `json:"location,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
	Properties P                 `json:"properties"`
}

// ResourceSpec is what a caller writes of a resource group or a managed identity.
type ResourceSpec struct {
	Location string            `json:"location"`
	Tags     map[string]string `json:"tags,omitempty"`
}

// Tenant is a directory that the caller can see.
type Tenant struct {
	ID            string `json:"id"` // "/tenants/{tenantId}"
	TenantID      string `json:"tenantId"`
	DisplayName   string `json:"displayName,omitempty"`
	DefaultDomain string `json:"defaultDomain,omitempty"`
}

// Tenants lists the caller's tenants.
func (c *Client) Tenants(ctx context.Context) ([]Tenant, error) {
	return list[Tenant](ctx, c, c.arm, at("/tenants").param("api-version", subscriptionVersion))
}

// Subscription holds resource groups.
type Subscription struct {
	ID             string `json:"id"` // "/subscriptions/{subscriptionId}"
	SubscriptionID string `json:"subscriptionId"`
	TenantID       string `json:"tenantId"`
	DisplayName    string `json:"displayName"`
	State          string `json:"state"` // "Enabled", …
}

// Subscriptions lists the caller's subscriptions.
func (c *Client) Subscriptions(ctx context.Context) ([]Subscription, error) {
	return list[Subscription](ctx, c, c.arm, at("/subscriptions").param("api-version", subscriptionVersion))
}

// Subscription reads a subscription.
func (c *Client) Subscription(ctx context.Context, subscriptionID string) (Subscription, error) {
	return get[Subscription](ctx, c, c.arm, at("/subscriptions").segment(subscriptionID).param("api-version", subscriptionVersion))
}

// ResourceGroupID names a resource group.
type ResourceGroupID struct{ SubscriptionID, Name string }

// String returns the resource id.
func (id ResourceGroupID) String() string {
	return "/subscriptions/" + id.SubscriptionID + "/resourceGroups/" + id.Name
}

func (id ResourceGroupID) path() path {
	return at("/subscriptions").segment(id.SubscriptionID).then("/resourceGroups").segment(id.Name)
}

// ResourceGroup is a folder of resources.
type ResourceGroup struct {
	ID                string            `json:"id"`
	Name              string            `json:"name"`
	Location          string            `json:"location"`
	Tags              map[string]string `json:"tags,omitempty"`
	ProvisioningState string            `json:"provisioningState,omitempty"`
}

type groupProperties struct {
	ProvisioningState string `json:"provisioningState"`
}

func groupOf(r resource[groupProperties]) ResourceGroup {
	return ResourceGroup{ID: r.ID, Name: r.Name, Location: r.Location, Tags: r.Tags, ProvisioningState: r.Properties.ProvisioningState}
}

// ResourceGroups lists the resource groups of a subscription.
func (c *Client) ResourceGroups(ctx context.Context, subscriptionID string) ([]ResourceGroup, error) {
	all, err := list[resource[groupProperties]](ctx, c, c.arm, at("/subscriptions").segment(subscriptionID).then("/resourceGroups").param("api-version", resourceVersion))
	return each(all, groupOf), err
}

// ResourceGroup reads a resource group.
func (c *Client) ResourceGroup(ctx context.Context, id ResourceGroupID) (ResourceGroup, error) {
	r, err := get[resource[groupProperties]](ctx, c, c.arm, id.path().param("api-version", resourceVersion))
	return groupOf(r), err
}

// PutResourceGroup makes a resource group or replaces its tags, and tells whether
// it was made.
func (c *Client) PutResourceGroup(ctx context.Context, id ResourceGroupID, spec ResourceSpec) (_ ResourceGroup, created bool, _ error) {
	r, created, err := put[resource[groupProperties]](ctx, c, id.path().param("api-version", resourceVersion), spec)
	return groupOf(r), created, err
}

// SetResourceGroupTags replaces the tags of a resource group; none clears them.
func (c *Client) SetResourceGroupTags(ctx context.Context, id ResourceGroupID, tags map[string]string) (ResourceGroup, error) {
	if tags == nil {
		tags = map[string]string{}
	}
	in := struct {
		Tags map[string]string `json:"tags"`
	}{tags}
	r, err := patch[resource[groupProperties]](ctx, c, id.path().param("api-version", resourceVersion), in)
	return groupOf(r), err
}

// DeleteResourceGroup deletes a resource group with all it holds, and returns when
// that is done. Azure takes minutes and is asked at the pace it wants; the context
// bounds the whole.
func (c *Client) DeleteResourceGroup(ctx context.Context, id ResourceGroupID) error {
	k := call{method: http.MethodDelete, path: id.path().param("api-version", resourceVersion), async: true}
	u, err := c.arm.url(k.path)
	if err != nil {
		return err
	}
	a, err := c.exchange(ctx, c.arm, u, k)
	for range maxPolls {
		if err != nil || a.status != http.StatusAccepted {
			return err
		}
		// https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations
		if l := a.header.Get("Location"); l != "" {
			if u, err = u.Parse(l); err != nil {
				return fmt.Errorf("deleting %s: it continues at %q: %w", id, l, err)
			}
		} else if k.method == http.MethodDelete {
			return fmt.Errorf("deleting %s: the server has begun it and does not say where to ask about it", id)
		}
		d := pollEvery
		if a.paced {
			d = min(max(a.retryAfter, time.Second), maxPoll)
		}
		if err := c.wait(ctx, d); err != nil {
			return fmt.Errorf("deleting %s: it was begun and not seen to end: %w", id, err)
		}
		k.method = http.MethodGet
		if a, err = c.exchange(ctx, c.arm, u, k); a.status == http.StatusNoContent {
			return nil
		}
	}
	return fmt.Errorf("deleting %s: it was begun and does not end", id)
}

const (
	pollEvery = 5 * time.Second  // unless the server says otherwise
	maxPoll   = 10 * time.Minute // the longest that ARM documents
	maxPolls  = 1000
)

// parseResource reads the resource id of something in a resource group. The kind is
// the path of its collection below the group.
func parseResource(id, kind, what string) (found struct{ SubscriptionID, ResourceGroup, Name string }, _ error) {
	s := strings.Split(strings.TrimSuffix(id, "/"), "/")
	want := strings.Split("/subscriptions/*/resourceGroups/*"+kind+"/*", "/")
	ok := len(s) == len(want)
	for i := 0; ok && i < len(s); i++ {
		ok = strings.EqualFold(s[i], want[i]) || want[i] == "*" && s[i] != ""
	}
	if !ok {
		return found, fmt.Errorf("%q is not the resource id of %s", id, what)
	}
	found.SubscriptionID, found.ResourceGroup, found.Name = s[2], s[4], s[len(s)-1]
	return found, nil
}

// each maps a list; the list of an error stays nil.
func each[A, B any](all []A, f func(A) B) []B {
	if all == nil {
		return nil
	}
	out := make([]B, len(all))
	for i, a := range all {
		out[i] = f(a)
	}
	return out
}
