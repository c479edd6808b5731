package arm

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/strictjson"
)

const (
	issuerType = federation + "/issuers"
	issuerPath = "/providers/" + issuerType + "/"
)

type issuer struct {
	ID         string           `json:"id"`
	Name       string           `json:"name"`
	Type       string           `json:"type"`
	Properties issuerProperties `json:"properties"`
}

type issuerProperties struct {
	Issuer                 string          `json:"issuer"`
	KeySource              string          `json:"keySource"`
	JWKSURI                string          `json:"jwksUri,omitempty"`
	KeySet                 json.RawMessage `json:"keySet,omitempty"`
	Algorithms             []string        `json:"algorithms"`
	CACertificate          string          `json:"caCertificate,omitempty"`
	AllowMultipleAudiences bool            `json:"allowMultipleAudiences"`
	Implicit               bool            `json:"implicit,omitempty"` // made by a credential that names it
	Revision               int64           `json:"revision"`
	CreatedAt              string          `json:"createdAt"`
	UpdatedAt              string          `json:"updatedAt"`
}

func wireIssuer(i directory.Issuer) issuer {
	algorithms := i.Algorithms
	if len(algorithms) == 0 {
		algorithms = []string{"RS256"}
	}
	return issuer{ID: issuerPath + i.Name, Name: i.Name, Type: issuerType, Properties: issuerProperties{
		Issuer: i.URL, KeySource: string(i.KeySource), JWKSURI: i.JWKSURI, KeySet: i.KeySet, Algorithms: algorithms, CACertificate: i.CAPEM,
		AllowMultipleAudiences: i.ManyAudiences, Implicit: i.Implicit, Revision: i.Revision, CreatedAt: stamp(i.CreatedAt), UpdatedAt: stamp(i.UpdatedAt),
	}}
}

// wireListed is an issuer in a list, without its key set: a hundred of them
// would be an answer of 50 MiB.
func wireListed(i directory.Issuer) issuer {
	i.KeySet = nil
	return wireIssuer(i)
}

func (s *Surface) listIssuers(c *call) (*answer, error) {
	return list(s, c, func(p directory.Page) (directory.Paged[directory.Issuer], error) {
		return s.dir.Issuers(c, c.caller, p)
	}, wireListed)
}

func (s *Surface) getIssuer(c *call) (*answer, error) {
	i, err := s.dir.Issuer(c, c.caller, c.args["issuer"])
	return found(wireIssuer(i)), err
}

// putIssuer asks for the right before it looks at keys and certificates. It
// reads its own body, since a key set is checked key by key and by nobody else.
func (s *Surface) putIssuer(c *call) (*answer, error) {
	if err := s.dir.Permit(c, c.caller, issuerType+"/write", issuerPath+c.args["issuer"]); err != nil {
		return nil, err
	}
	data, err := c.readBody(maxIssuerBody)
	if err != nil {
		return nil, err
	}
	i, err := readIssuer(data)
	if err != nil {
		return nil, unreadable(err)
	}
	i.Name = c.args["issuer"]
	if len(i.KeySet) > 0 {
		if err := s.checkKeySet(i.KeySet); err != nil {
			return nil, badRequest("The property 'keySet' is not valid: %s", sentence(err.Error()))
		}
	}
	i, created, err := s.dir.PutIssuer(c, c.caller, i)
	return put(wireIssuer(i), created, issuerPath+i.Name), err
}

func (s *Surface) deleteIssuer(c *call) (*answer, error) {
	return removed(s.dir.RemoveIssuer(c, c.caller, c.args["issuer"]), directory.IssuerObject)
}

func (s *Surface) checkKeySet(set []byte) error {
	if s.config.CheckKeySet == nil {
		return errors.New("this server takes no uploaded key sets")
	}
	return s.config.CheckKeySet(set)
}

// readIssuer reads a body without looking into its key set. Members that only
// the server sets are passed over, so that an issuer that was read can be sent back.
func readIssuer(data []byte) (directory.Issuer, error) {
	outer, err := members(data)
	if err != nil {
		return directory.Issuer{}, err
	}
	p := strictjson.Object{}
	if raw := outer["properties"]; len(raw) > 0 {
		if p, err = members(raw); err != nil {
			return directory.Issuer{}, err
		}
	}
	i := directory.Issuer{KeySet: p["keySet"]}
	var source string
	for _, m := range []struct {
		name string
		to   *string
	}{{"issuer", &i.URL}, {"keySource", &source}, {"jwksUri", &i.JWKSURI}, {"caCertificate", &i.CAPEM}} {
		if *m.to, _, err = p.Text(m.name); err != nil {
			return i, err
		}
	}
	i.KeySource = directory.KeySource(source)
	if i.Algorithms, _, err = p.Texts("algorithms"); err != nil {
		return i, err
	}
	switch many := string(p["allowMultipleAudiences"]); many {
	case "", "true", "false":
		i.ManyAudiences = many == "true"
	default:
		return i, fmt.Errorf("%q is neither true nor false", "allowMultipleAudiences")
	}
	return i, nil
}

// members reads one level of an object, without the members that are null.
func members(data []byte) (strictjson.Object, error) {
	object, err := strictjson.ParseOuter(data)
	if err != nil {
		return nil, err
	}
	if err := noTwins(object); err != nil {
		return nil, err
	}
	for name, value := range object {
		if !given(value) {
			delete(object, name)
		}
	}
	return object, nil
}
