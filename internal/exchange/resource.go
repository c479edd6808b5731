package exchange

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/entente-id/entente/internal/directory"
)

// A resource is what a token is for.
type resource struct {
	name     string // as it was asked for
	audience string // aud of the token
	appID    string // client id of a registered application, which has several names; else empty
	v2       bool   // version of the token
	roles    []string
}

const longestResource = 600

// resolve finds a resource by its name. The service's own names and those of
// Azure come first, so that nobody can register them as an application's.
func (w *walk) resolve(ctx context.Context, name string) (r resource, err error) {
	r = resource{name: name, audience: name}
	missing := w.refuse(ResourceNotFound)
	if w.req.V1 {
		missing.Reason = ResourceNotFoundV1
	}
	missing.Resource = name
	if len(name) > longestResource || !utf8.ValidString(name) || strings.ContainsFunc(name, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) }) {
		return r, missing
	}

	key := foldName(name)
	switch known, ok := azure[key]; {
	case w.Manages(name):
		// The claim of a token for ourselves is in the one spelling that our own surfaces compare with.
		r.audience = strings.ToLower(name)
		if known.armOnly {
			return r, nil
		}
		graph, err := w.lookUp(ctx, graphAppID)
		r.roles = graph.Roles
		return r, ignoreMissing(err)
	case ok:
		if known.clientID != "" {
			r.audience, r.v2 = known.clientID, true
		}
		return r, nil
	case ofAzure(key):
		return r, nil
	}

	registered, err := w.lookUp(ctx, name)
	switch {
	case err == nil:
		r.appID, r.roles = registered.AppID, registered.Roles
		if registered.TokenVersion == 2 {
			r.audience, r.v2 = registered.AppID, true
		}
		return r, nil
	case ignoreMissing(err) != nil:
		return r, err
	case w.AnyResource && isURI(name):
		return r, nil
	}
	return r, missing
}

// lookUp finds a registered application, and the client's roles on it.
func (w *walk) lookUp(ctx context.Context, name string) (directory.Resource, error) {
	r, err := w.Directory.LookupResource(ctx, w.out.Tenant.ID, w.out.Client.PrincipalID, name)
	if err != nil {
		return r, fmt.Errorf("look up resource: %w", err)
	}
	switch {
	case !r.Enabled:
		e := w.refuse(ResourceDisabled)
		e.Resource = name
		return r, e
	case r.AssignmentRequired && !r.Assigned:
		e := w.refuse(NotAssigned)
		e.Resource, e.ResourceName = r.AppID, r.DisplayName
		return r, e
	}
	return r, nil
}

func ignoreMissing(err error) error {
	if e, ok := errors.AsType[*directory.Error](err); ok && e.Kind == directory.NotFound {
		return nil
	}
	return err
}

// isURI says whether a name is an https:// or api:// URI of something.
func isURI(name string) bool {
	u, err := url.Parse(name)
	return err == nil && (u.Scheme == "https" || u.Scheme == "api") && u.Host != "" && u.User == nil && u.Fragment == ""
}

// foldName is how names of resources are looked for: without case, as their
// host names are, and without one slash at the end.
func foldName(name string) string { return strings.ToLower(strings.TrimSuffix(name, "/")) }
