package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

// typedPrincipal is a service principal in a list of directory objects.
func typedPrincipal(o object) object {
	return append(object{{typeMember, "#microsoft.graph.servicePrincipal"}}, o...)
}

func typedApplication(o object) object {
	return append(object{{typeMember, "#microsoft.graph.application"}}, o...)
}

const typeMember = "@odata.type"

var typedNames = typedPrincipal(principalObject(directory.ServicePrincipal{})).names()

// listOwners lists who owns an application, and listPrincipalOwners who owns a
// service principal, oldest first.
func (c *call) listOwners() (answer, error) { return c.listOwnersBy(c.Directory.Owners) }
func (c *call) listPrincipalOwners() (answer, error) {
	return c.listOwnersBy(c.Directory.PrincipalOwners)
}

func (c *call) listOwnersBy(read func(context.Context, directory.Caller, directory.Ref) ([]directory.ServicePrincipal, error)) (answer, error) {
	if clauses, err := c.clauses(); err != nil || len(clauses) > 0 {
		return answer{}, unsupported("A filter is not supported for this resource.")
	}
	show := func(p directory.ServicePrincipal) object { return typedPrincipal(c.showPrincipal(p)) }
	return listOf(c, directoryObjectSet, typedNames, show, func(p directory.Page) (directory.Paged[directory.ServicePrincipal], error) {
		owners, err := read(c, c.caller, c.ref)
		return cut(owners, p, func(i int, _ directory.ServicePrincipal) string { return fmt.Sprintf("%08d", i+1) }), err
	}, nil)
}

// refBody names an object by its URL.
type refBody struct {
	ID opt[string] `name:"@odata.id"`
}

// referenced is the id in the URL of an object: …/directoryObjects/{id} or …/directoryObjects('{id}').
func referenced(url string) (string, error) {
	id := url[strings.LastIndexAny(url, "/(")+1:]
	id = strings.TrimSuffix(strings.TrimPrefix(id, "'"), "')")
	if !directory.IsID(id) {
		return "", requestBad("Invalid URL format specified in payload.")
	}
	return strings.ToLower(id), nil
}

// mostBound is how many owners an object may be made with.
const mostBound = 20

func boundOwners(sent opt[[]string]) ([]string, error) {
	if len(sent.value) > mostBound {
		return nil, requestBad("At most %d owners can be bound to what is created: add the others afterwards.", mostBound)
	}
	var ids []string
	for _, url := range sent.value {
		id, err := referenced(url)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// checkUnbound refuses what only what is created now can be given in its body.
func checkUnbound(owners opt[[]string], passwords opt[[]json.RawMessage], secrets []directory.Secret) error {
	switch {
	case len(owners.value) > 0:
		return requestBad("Owners cannot be bound by an update: use POST to owners/$ref.")
	case passwords.given() && len(passwords.value)+len(secrets) > 0:
		return errPasswords
	}
	return nil
}

var errPasswords = requestBad("passwordCredentials cannot be set: use addPassword and removePassword.")

func (c *call) addOwner(b refBody) (answer, error) {
	return c.addOwnerBy(b, c.Directory.AddOwner)
}

func (c *call) addPrincipalOwner(b refBody) (answer, error) {
	return c.addOwnerBy(b, c.Directory.AddPrincipalOwner)
}

func (c *call) addOwnerBy(b refBody, add func(context.Context, directory.Caller, directory.Ref, string) error) (answer, error) {
	id, err := referenced(b.ID.value)
	if err != nil {
		return answer{}, err
	}
	return noContent(add(c, c.caller, c.ref, id))
}

func (c *call) removeOwner() (answer, error) {
	return noContent(c.Directory.RemoveOwner(c, c.caller, c.ref, c.keys[ownerParam].text))
}

func (c *call) removePrincipalOwner() (answer, error) {
	return noContent(c.Directory.RemovePrincipalOwner(c, c.caller, c.ref, c.keys[ownerParam].text))
}
