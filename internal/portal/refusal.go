package portal

import (
	"errors"
	"net/http"

	"github.com/entente-id/entente/internal/directory"
)

// nothingDone stands above a form that was refused.
const nothingDone = "Nothing was made or changed. See the marked field."

// A refusal is what is wrong with a form that was sent, for the form itself.
type refusal struct {
	status      int
	text        string // above the form
	field, says string // the field of the directory, and what is wrong with it
}

// at is what is wrong with a field of the directory; empty: nothing.
func (r refusal) at(field string) string {
	if r.field == field {
		return r.says
	}
	return ""
}

// refused says whether a form was refused for what a person can change in it, or
// for a right that the person lacks, so that the form is shown again with what
// was typed.
func refused(err error) (refusal, bool) {
	e, ok := errors.AsType[*directory.Error](err)
	if !ok {
		return refusal{}, false
	}
	p := explainDomain(e)
	r := refusal{status: p.status, text: p.text, field: e.Field}
	switch e.Kind {
	case directory.Invalid:
		r.status, r.text, r.says = http.StatusUnprocessableEntity, nothingDone, sentence(e.Detail)
		if v := violation(e.Err); v != nil {
			r.says = sentence("it " + v.Detail)
		} else if e.Detail == "" && e.Err != nil {
			r.says = sentence(e.Err.Error())
		}
	case directory.Exists, directory.Immutable:
		r.text, r.says = nothingDone, sentence(e.Detail)
		if e.Detail == "" {
			r.says = "Another one has it already."
		}
	case directory.InUse, directory.LimitReached, directory.Forbidden, directory.Full:
	default:
		return refusal{}, false
	}
	return r, true
}
