package graph

import (
	"errors"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/strictjson"
)

// byIDsBody is the parameters of getByIds. Its lists may be longer than what a body's values are bounded by otherwise.
type byIDsBody struct{ ids, types []string }

// mostIDs is how many ids one request may have
// (https://learn.microsoft.com/graph/api/directoryobject-getbyids).
const mostIDs = 1000

func (b *byIDsBody) parse(data []byte) error {
	o, err := strictjson.ParseOuter(data)
	if err == nil {
		b.ids, _, err = o.Texts("ids")
	}
	if err == nil {
		b.types, _, err = o.Texts("types")
	}
	if err != nil {
		return unreadable(err)
	}
	if len(b.ids) == 0 || len(b.ids) > mostIDs {
		return requestBad("Invalid value specified for 'ids': there are between 1 and %d.", mostIDs)
	}
	for _, id := range b.ids {
		if !directory.IsID(id) {
			return requestBad("Invalid object identifier '%s'.", shorten(id, 100))
		}
	}
	return nil
}

func (b *byIDsBody) wants(kind string) bool {
	return len(b.types) == 0 || slices.ContainsFunc(b.types, func(t string) bool {
		return strings.EqualFold(t, kind) || strings.EqualFold(t, "directoryObject")
	})
}

// getByIDs reads service principals and applications. Ids of which there is
// nothing, or nothing that the caller may see, are left out.
func (c *call) getByIDs(b byIDsBody) (answer, error) {
	if err := c.checkSelect(slices.Concat(typedNames, applicationNames)); err != nil {
		return answer{}, err
	}
	if err := c.mayRead(); err != nil {
		return answer{}, err
	}
	value, seen := []object{}, map[string]bool{}
	for _, id := range b.ids {
		if id = strings.ToLower(id); seen[id] {
			continue
		}
		seen[id] = true
		o, err := c.byID(id, b)
		if err != nil {
			return answer{}, err
		}
		if len(c.options.selected) > 0 {
			o = o.only(append(c.options.selected, typeMember))
		}
		if o != nil {
			value = append(value, o)
		}
	}
	context := directoryObjectSet
	if len(c.options.selected) > 0 {
		context += c.projection()
	}
	return answer{body: object{{"@odata.context", c.context(context)}, {"value", value}}}, nil
}

// readObject reads the service principal or application that the path names by its id alone.
func (c *call) readObject() (object, error) {
	ref := directory.Ref{ID: c.keys[objectParam].text}
	p, err := c.Directory.ServicePrincipal(c, c.caller, ref)
	if !is(err, directory.NotFound, directory.PrincipalObject) {
		return typedPrincipal(c.showPrincipal(p)), err
	}
	a, err := c.Directory.Application(c, c.caller, ref)
	return typedApplication(c.showApplication(a)), err
}

func (c *call) getObject() (answer, error) {
	o, err := c.readObject()
	return c.one(directoryObjectSet, o, err)
}

func (c *call) byID(id string, b byIDsBody) (object, error) {
	if b.wants("servicePrincipal") {
		p, err := c.Directory.ServicePrincipal(c, c.caller, directory.Ref{ID: id})
		if err == nil {
			return typedPrincipal(c.showPrincipal(p)), nil
		}
		if !unseen(err) {
			return nil, err
		}
	}
	if b.wants("application") {
		a, err := c.Directory.Application(c, c.caller, directory.Ref{ID: id})
		if err == nil {
			return typedApplication(c.showApplication(a)), nil
		}
		if !unseen(err) {
			return nil, err
		}
	}
	return nil, nil
}

// unseen says whether an object is not there for this caller.
func unseen(err error) bool {
	e, ok := errors.AsType[*directory.Error](err)
	return ok && (e.Kind == directory.NotFound || e.Kind == directory.Forbidden)
}
