package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Application is an application object of Microsoft Graph
// (https://learn.microsoft.com/graph/api/resources/application), as far as
// workload identity has a use for it.
type Application struct {
	ID              string               `json:"id"`    // object id
	AppID           string               `json:"appId"` // client id
	DisplayName     string               `json:"displayName"`
	Description     string               `json:"description,omitempty"`
	Notes           string               `json:"notes,omitempty"`
	UniqueName      string               `json:"uniqueName,omitempty"` // an alternate key; never changes
	SignInAudience  string               `json:"signInAudience,omitempty"`
	IdentifierURIs  []string             `json:"identifierUris,omitempty"`
	Tags            []string             `json:"tags,omitempty"`
	CreatedDateTime time.Time            `json:"createdDateTime,omitzero"`
	API             API                  `json:"api,omitzero"`
	AppRoles        []AppRole            `json:"appRoles,omitempty"`
	Passwords       []PasswordCredential `json:"passwordCredentials,omitempty"`
}

// API is what an application says about tokens that are issued for it.
type API struct {
	RequestedAccessTokenVersion *int `json:"requestedAccessTokenVersion,omitempty"` // 1 or 2; nil means 1
}

// AppRole is a role that an application offers, or Graph's permissions as such.
type AppRole struct {
	ID                 string   `json:"id"`
	Value              string   `json:"value,omitempty"` // what stands in the token's roles; a role may have none
	DisplayName        string   `json:"displayName"`
	Description        string   `json:"description"`
	AllowedMemberTypes []string `json:"allowedMemberTypes"` // "Application", "User"
	IsEnabled          bool     `json:"isEnabled"`
}

// ApplicationSpec is what a caller writes. In an update, what is zero stays as it
// is; an empty slice that is not nil clears.
type ApplicationSpec struct {
	DisplayName    string    `json:"displayName,omitempty"` // required to create
	Description    *string   `json:"description,omitempty"`
	Notes          *string   `json:"notes,omitempty"`
	UniqueName     string    `json:"uniqueName,omitempty"` // Entente takes it; for Azure see UpsertApplication
	SignInAudience string    `json:"signInAudience,omitempty"`
	IdentifierURIs []string  `json:"identifierUris,omitzero"`
	Tags           []string  `json:"tags,omitzero"`
	API            *API      `json:"api,omitempty"`
	AppRoles       []AppRole `json:"appRoles,omitzero"`
}

const applications = "/v1.0/applications"

// Applications lists applications. A filter is OData, such as what [Equal] writes;
// an empty one selects all.
func (c *Client) Applications(ctx context.Context, filter string) ([]Application, error) {
	return list[Application](ctx, c, c.graph, at(applications).param("$filter", filter))
}

// ApplicationByName finds the one application with exactly this display name. None
// is an [ErrNotFound], several are an [*AmbiguousError] with their object ids.
func (c *Client) ApplicationByName(ctx context.Context, name string) (Application, error) {
	all, err := c.Applications(ctx, Equal("displayName", name))
	if err != nil {
		return Application{}, err
	}
	return named("application", name, all, func(a Application) (string, string) { return a.ID, a.DisplayName })
}

// Application reads an application by its client id or, if there is none, by its
// object id.
func (c *Client) Application(ctx context.Context, id string) (Application, error) {
	return either[Application](ctx, c, applications, id)
}

// either reads an object that has an appId and an id.
func either[T any](ctx context.Context, c *Client, collection, id string) (T, error) {
	o, err := get[T](ctx, c, c.graph, at(collection).key("appId", id))
	if errors.Is(err, ErrNotFound) {
		return get[T](ctx, c, c.graph, at(collection).segment(id))
	}
	return o, err
}

// CreateApplication makes an application. Display names need not be unique.
func (c *Client) CreateApplication(ctx context.Context, spec ApplicationSpec) (Application, error) {
	return post[Application](ctx, c, c.graph, at(applications), spec)
}

// ApplicationByUniqueName reads an application by its unique name, which is
// compared exactly.
func (c *Client) ApplicationByUniqueName(ctx context.Context, uniqueName string) (Application, error) {
	return get[Application](ctx, c, c.graph, at(applications).key("uniqueName", uniqueName))
}

// UpsertApplication makes the application with this unique name, or changes the
// one that is there, and tells which of the two it was. It is the only way to
// give an application of Azure a unique name
// (https://learn.microsoft.com/graph/api/application-upsert). The application is
// returned when it was made.
func (c *Client) UpsertApplication(ctx context.Context, uniqueName string, spec ApplicationSpec) (_ Application, created bool, _ error) {
	spec.UniqueName = "" // which is in the path
	p := at(applications).key("uniqueName", uniqueName)
	a, err := c.do(ctx, c.graph, call{method: http.MethodPatch, path: p, in: spec, prefer: createIfMissing})
	if err != nil || a.status != http.StatusCreated {
		return Application{}, false, err
	}
	var made Application
	if err := json.Unmarshal(a.body, &made); err != nil {
		return Application{}, true, fmt.Errorf("%s: decoding the answer of PATCH %s: %w", c.graph.name, p.text, err)
	}
	return made, true, nil
}

// createIfMissing makes an update by an alternate key an upsert
// (https://learn.microsoft.com/graph/api/application-upsert).
const createIfMissing = "create-if-missing"

// UpdateApplication changes what the specification names. The id is the object id,
// here and below.
func (c *Client) UpdateApplication(ctx context.Context, id string, spec ApplicationSpec) error {
	_, err := c.do(ctx, c.graph, call{method: http.MethodPatch, path: at(applications).segment(id), in: spec})
	return err
}

// DeleteApplication deletes an application with its credentials and its service
// principal. It can be restored until it is purged.
func (c *Client) DeleteApplication(ctx context.Context, id string) error {
	return c.remove(ctx, c.graph, at(applications).segment(id))
}

// PurgeApplication removes a deleted application for good.
func (c *Client) PurgeApplication(ctx context.Context, id string) error {
	return c.remove(ctx, c.graph, at("/v1.0/directory/deletedItems").segment(id))
}

// PasswordCredential is a client secret of an application.
type PasswordCredential struct {
	KeyID         string    `json:"keyId"`
	DisplayName   string    `json:"displayName,omitempty"`
	Hint          string    `json:"hint,omitempty"` // first characters of the secret
	StartDateTime time.Time `json:"startDateTime,omitzero"`
	EndDateTime   time.Time `json:"endDateTime,omitzero"`
	SecretText    string    `json:"secretText,omitempty"` // in the answer of AddPassword only
}

// PasswordSpec is what a caller says about a secret; the server makes the text.
type PasswordSpec struct {
	DisplayName string    `json:"displayName,omitempty"`
	EndDateTime time.Time `json:"endDateTime,omitzero"` // zero: the server's default
}

// AddPassword makes a client secret. Its text is shown this once.
func (c *Client) AddPassword(ctx context.Context, id string, spec PasswordSpec) (PasswordCredential, error) {
	in := struct {
		PasswordCredential PasswordSpec `json:"passwordCredential"`
	}{spec}
	return post[PasswordCredential](ctx, c, c.graph, at(applications).segment(id).then("/addPassword"), in)
}

// RemovePassword removes a client secret.
func (c *Client) RemovePassword(ctx context.Context, id, keyID string) error {
	in := struct {
		KeyID string `json:"keyId"`
	}{keyID}
	_, err := c.do(ctx, c.graph, call{method: http.MethodPost, path: at(applications).segment(id).then("/removePassword"), in: in})
	return err
}
