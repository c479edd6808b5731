package graph

import (
	"fmt"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

// typedPrincipal is a service principal in a list of directory objects.
func typedPrincipal(p directory.ServicePrincipal) object {
	return append(object{{typeMember, "#microsoft.graph.servicePrincipal"}}, principalObject(p)...)
}

func typedApplication(o object) object {
	return append(object{{typeMember, "#microsoft.graph.application"}}, o...)
}

const typeMember = "@odata.type"

var typedNames = typedPrincipal(directory.ServicePrincipal{}).names()

// listOwners lists who owns an application, oldest first.
func (c *call) listOwners() (answer, error) {
	if clauses, err := c.clauses(); err != nil || len(clauses) > 0 {
		return answer{}, unsupported("A filter is not supported for this resource.")
	}
	return listOf(c, directoryObjectSet, typedNames, typedPrincipal, func(p directory.Page) (directory.Paged[directory.ServicePrincipal], error) {
		owners, err := c.Directory.Owners(c, c.caller, c.ref)
		return cut(owners, p, func(i int, _ directory.ServicePrincipal) string { return fmt.Sprintf("%08d", i+1) }), err
	}, nil)
}

// refBody names an object by its URL.
type refBody struct {
	ID opt[string] `name:"@odata.id"`
}

func (c *call) addOwner(b refBody) (answer, error) {
	id := b.ID.value[strings.LastIndexByte(b.ID.value, '/')+1:]
	if !directory.IsID(id) {
		return answer{}, requestBad("Invalid URL format specified in payload.")
	}
	return noContent(c.Directory.AddOwner(c, c.caller, c.ref, id))
}

func (c *call) removeOwner() (answer, error) {
	return noContent(c.Directory.RemoveOwner(c, c.caller, c.ref, c.keys[ownerParam].text))
}
