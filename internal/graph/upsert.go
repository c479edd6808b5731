package graph

import (
	"errors"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

// upsert updates an object and, if the client asked for it with "Prefer:
// create-if-missing", makes one that is not there. Somebody else may make it
// between these two steps; then that one is updated.
func (c *call) upsert(o directory.Object, update func() error, create func() (answer, error)) (answer, error) {
	err := update()
	if !c.createsMissing() || !is(err, directory.NotFound, o) {
		return noContent(err)
	}
	made, err := create()
	if is(err, directory.Exists, o) {
		if updated := update(); !is(updated, directory.NotFound, o) {
			return noContent(updated)
		}
	}
	return made, err
}

// createsMissing says whether the client wants an update to make what is not there.
func (c *call) createsMissing() bool {
	for _, header := range c.r.Header.Values("Prefer") {
		for preference := range strings.SplitSeq(header, ",") {
			if strings.EqualFold(strings.TrimSpace(preference), "create-if-missing") {
				return true
			}
		}
	}
	return false
}

// is says whether the domain refused something of that type for that reason.
func is(err error, k directory.Kind, o directory.Object) bool {
	e, ok := errors.AsType[*directory.Error](err)
	return ok && e.Kind == k && e.Object == o
}
