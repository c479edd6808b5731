package portal

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/directory"
)

var auditPages = []route{{"GET " + auditPath, (*call).audit, false}}

const auditPath = Path + "/audit"

type auditView struct {
	List    *listing
	Rows    []auditRow
	Errors  []string
	Search  field
	Action  choice
	Object  choice
	Actor   field
	Target  field
	From    field
	To      field
	More    bool // of the filters, those that are folded away are in use
	Partial bool // the page looked at a part of the log, and found nothing in it
}

type auditRow struct {
	At                            time.Time
	Who, Way                      string // who did it, and how they came
	WhoID                         string
	Deed, Target, To              string // what was done with what, and where that is to be seen
	Whom                          string // the service principal that it is about, besides the target
	Action, TargetID, Object      string
	Details                       []auditDetail
	Address, RequestID, SameActor string
}

type auditDetail struct {
	Name  string
	Value []pieceView
}

func (c *call) audit() error {
	l := c.list("q", "action", "object", "actor", "target", "from", "to")
	v := auditView{
		List:   l,
		Search: field{Name: "q", Label: "Search", Value: l.Get("q"), Placeholder: "Name or id of who or what", Max: 256},
		Action: choice{Name: "action", Label: "Action", Value: l.Get("action"), Options: []option{{"", "All"}}},
		Object: choice{Name: "object", Label: "What was changed", Value: l.Get("object"), Options: append([]option{{"", "Everything"}}, auditObjects...)},
		Actor:  field{Name: "actor", Label: "Who", Value: l.Get("actor"), Hint: "A client id, an object id, or the whole name of a person.", Max: 256},
		Target: field{Name: "target", Label: "Id of what was changed", Value: l.Get("target"), Hint: "Of the thing, or of what it belongs to.", Max: 600},
		From:   field{Name: "from", Label: "From (UTC)", Value: l.Get("from"), Placeholder: momentExample, Max: 30},
		To:     field{Name: "to", Label: "To (UTC)", Value: l.Get("to"), Placeholder: momentExample, Max: 30},
	}
	for _, a := range auditActions {
		v.Action.Options = append(v.Action.Options, option{a.action, a.filter})
	}
	v.Action.keep()
	v.Object.keep()
	v.More = v.Actor.Value+v.Target.Value+v.From.Value+v.To.Value != ""
	f := directory.EventFilter{Actor: strings.TrimSpace(v.Actor.Value), Action: v.Action.Value, Object: directory.Object(v.Object.Value), TargetID: strings.TrimSpace(v.Target.Value)}
	f.From, v.From.Error = parseMoment(v.From.Value)
	f.To, v.To.Error = parseMoment(v.To.Value)
	p := page{template: "audit", title: "Audit log", wide: true}
	at := l.page()
	if v.From.Error+v.To.Error != "" {
		p.status, v.Errors = http.StatusUnprocessableEntity, []string{"A filter cannot be read. See the marked field."}
		at.Limit = 1 // only whether the caller may read the log
	}
	events, err := c.Directory.Events(c, c.caller, f, at)
	if err != nil {
		return err
	}
	if len(v.Errors) > 0 {
		return c.show(p, v)
	}
	var actors []string // and those whom it is about
	for _, e := range events.Items {
		if e.ActorName == "" {
			actors = append(actors, e.ActorID)
		}
		if id := e.Detail["principal"]; id != "" {
			actors = append(actors, id)
		}
	}
	names, err := c.Directory.PrincipalNames(c, c.caller, actors)
	if err != nil {
		return err
	}
	targets := auditTargets{call: c, known: map[string]string{}}
	for _, e := range fill(l, events) {
		row := auditRow{
			At: e.At, Who: cmp.Or(e.ActorName, names[e.ActorID], e.ActorAppID, e.ActorID, "Nobody known"), Way: wayOf(e.ActorKind), WhoID: cmp.Or(e.ActorAppID, e.ActorID),
			Deed: deed(e), Target: targetName(e), Whom: names[e.Detail["principal"]], Action: e.Action, TargetID: e.TargetID, Object: string(e.Object), Address: e.Address, RequestID: e.RequestID,
		}
		if actor := cmp.Or(e.ActorID, e.ActorName); actor != "" {
			row.SameActor = l.With("actor", actor)
		}
		if row.To, err = targets.find(e); err != nil {
			return err
		}
		for name, value := range e.Detail {
			row.Details = append(row.Details, auditDetail{cmp.Or(detailWords[name], strings.TrimSuffix(sentence(name), ".")), shown(value)})
		}
		slices.SortFunc(row.Details, func(a, b auditDetail) int { return cmp.Compare(a.Name, b.Name) })
		v.Rows = append(v.Rows, row)
	}
	v.Partial = len(v.Rows) == 0 && l.Next != ""
	return c.show(p, v)
}

// keep makes a value that no option has, one of them.
func (c *choice) keep() {
	if !slices.ContainsFunc(c.Options, func(o option) bool { return o.Value == c.Value }) {
		c.Options = append(c.Options, option{c.Value, clip(c.Value, 120)})
	}
}

// wayOf says how somebody came.
func wayOf(kind directory.CallerKind) string {
	switch kind {
	case directory.PrincipalCaller:
		return "with a token"
	case directory.PortalCaller:
		return "by the portal"
	case directory.SystemCaller:
		return "the service itself"
	}
	return string(kind)
}

// targetName is what a person calls the target of an event.
func targetName(e directory.Event) string {
	switch e.Object {
	case directory.AssignmentObject:
		return e.TargetID
	case directory.PolicyObject:
		return ""
	}
	return cmp.Or(e.TargetName, e.TargetID)
}

// auditTargets finds the pages of what events changed, each once.
type auditTargets struct {
	*call
	known map[string]string
}

// find is the page of an event's target, empty when it is not there any more or
// not for the caller to see.
func (t auditTargets) find(e directory.Event) (string, error) {
	key := string(e.Object) + " " + e.TargetID + " " + e.Detail["application"]
	to, known := t.known[key]
	if known {
		return to, nil
	}
	to, err := t.look(e)
	if isNotFound(err) || isForbidden(err) || isKind(err, directory.Invalid) {
		to, err = "", nil
	}
	t.known[key] = to
	return to, err
}

func (t auditTargets) look(e directory.Event) (string, error) {
	c := t.call
	switch e.Object {
	case directory.ApplicationObject:
		return c.applicationTarget(e.TargetID)
	case directory.SecretObject, directory.CertificateObject:
		to, err := c.applicationTarget(e.Detail["application"])
		if to == "" {
			return "", err
		}
		if e.Object == directory.SecretObject {
			return to + "/credentials?tab=" + secretsTab, nil
		}
		return to + "/credentials?tab=" + certificatesTab, nil
	case directory.PrincipalObject, directory.GrantObject:
		p, err := c.Directory.ServicePrincipal(c, c.caller, directory.Ref{ID: e.TargetID})
		if err != nil {
			return "", err
		}
		return ownerPath(p), nil
	case directory.CredentialObject:
		_, parent, err := c.Directory.CredentialByID(c, c.caller, e.TargetID)
		if err != nil {
			return "", err
		}
		return holderPath(parent, "credentials", e.TargetID), nil
	case directory.IdentityObject:
		ref, ok := identityOf(e.TargetID)
		if !ok {
			return "", nil
		}
		_, err := c.Directory.Identity(c, c.caller, ref)
		return identityPath(ref), err
	case directory.ClusterObject:
		s := strings.Split(e.TargetID, "/")
		if len(s) != 9 {
			return "", nil
		}
		ref := directory.ClusterRef{SubscriptionID: s[2], Group: s[4], Name: s[8]}
		_, err := c.Directory.Cluster(c, c.caller, ref)
		return clusterPath(ref), err
	case directory.GroupObject:
		s := strings.Split(e.TargetID, "/")
		if len(s) != 5 {
			return "", nil
		}
		_, err := c.Directory.Group(c, c.caller, s[2], s[4])
		return groupPath(s[2], s[4]), err
	case directory.IssuerObject:
		i, err := c.Directory.Issuer(c, c.caller, e.TargetName)
		if err != nil || i.ID != e.TargetID {
			return "", err // another one has the name now
		}
		return issuerPath(i.Name), nil
	case directory.SigningKeyObject:
		if c.rights.Can(signingKeyAction+"read", "/") {
			return signingKeysPath, nil
		}
	case directory.PolicyObject:
		return Path + "/settings", nil
	}
	return "", nil
}

func (c *call) applicationTarget(id string) (string, error) {
	if !directory.IsID(id) {
		return "", nil
	}
	_, err := c.Directory.Application(c, c.caller, directory.Ref{ID: id})
	return applicationPath(id), err
}
