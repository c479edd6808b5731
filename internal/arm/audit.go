package arm

import "github.com/entente-id/entente/internal/directory"

// record is an entry of a log, in the form of a resource.
type record[T any] struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Type       string `json:"type"`
	Properties T      `json:"properties"`
}

func recordOf[T any](kind, name string, properties T) record[T] {
	kind = federation + "/" + kind
	return record[T]{"/providers/" + kind + "/" + name, name, kind, properties}
}

type auditEvent struct {
	At            string            `json:"at"`
	Actor         auditActor        `json:"actor"`
	Action        string            `json:"action"`
	Target        auditTarget       `json:"target"`
	Detail        map[string]string `json:"detail"`
	ClientAddress string            `json:"clientAddress,omitempty"`
	RequestID     string            `json:"requestId,omitempty"`
}

type auditActor struct {
	Kind        string `json:"kind"` // principal or system
	PrincipalID string `json:"principalId,omitempty"`
	ClientID    string `json:"clientId,omitempty"`
	Name        string `json:"name,omitempty"`
}

type auditTarget struct {
	Kind string `json:"kind"`
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

func wireEvent(e directory.Event) record[auditEvent] {
	return recordOf("auditEvents", e.ID, auditEvent{
		At: stamp(e.At), Action: e.Action, Detail: tags(e.Detail), ClientAddress: e.Address, RequestID: e.RequestID,
		Actor:  auditActor{Kind: string(e.ActorKind), PrincipalID: e.ActorID, ClientID: e.ActorAppID, Name: e.ActorName},
		Target: auditTarget{Kind: string(e.Object), ID: e.TargetID, Name: e.TargetName},
	})
}

func (s *Surface) listAuditEvents(c *call) (*answer, error) {
	return list(s, c, func(p directory.Page) (directory.Paged[directory.Event], error) {
		return s.dir.Events(c, c.caller, directory.EventFilter{}, p)
	}, wireEvent)
}
