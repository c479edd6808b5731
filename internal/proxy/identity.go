package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
)

// Identity is one that requests may name by something other than its client id.
type Identity struct {
	ClientID   string `json:"clientId"`
	ObjectID   string `json:"objectId,omitempty"`
	ResourceID string `json:"resourceId,omitempty"`
}

// Identities is the map from the other names of identities to their client ids.
type Identities []Identity

const (
	maxIdentities = 100
	maxMap        = 64 << 10
)

// ParseIdentities reads ENTENTE_IDENTITIES: a JSON array such as
// [{"clientId":"…","objectId":"…","resourceId":"/subscriptions/…"}]. Nothing is an empty map.
func ParseIdentities(text string) (Identities, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if len(text) > maxMap {
		return nil, fmt.Errorf("it is longer than %d bytes", maxMap)
	}
	var list Identities
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("it is not a JSON array of {clientId, objectId, resourceId}: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON array")
	}
	if len(list) > maxIdentities {
		return nil, fmt.Errorf("it has %d identities, at most %d are possible", len(list), maxIdentities)
	}
	whose := map[string]string{}
	for i, one := range list {
		if one.ClientID == "" {
			return nil, fmt.Errorf("identity %d has no clientId", i+1)
		}
		for _, id := range []string{one.ClientID, one.ObjectID, one.ResourceID} {
			if err := checkID(id); err != nil {
				return nil, fmt.Errorf("identity %d: %q %w", i+1, id, err)
			}
		}
		for _, id := range []string{"object " + one.ObjectID, "resource " + one.ResourceID} {
			kind, name, _ := strings.Cut(strings.ToLower(id), " ")
			if name == "" {
				continue
			}
			if other, taken := whose[kind+name]; taken && !strings.EqualFold(other, one.ClientID) {
				return nil, fmt.Errorf("the %s id %q is that of %q and of %q", kind, name, other, one.ClientID)
			}
			whose[kind+name] = one.ClientID
		}
	}
	return list, nil
}

// The parameters that name an identity, in the dialects of the two protocols and of their versions.
var selectors = []string{"client_id", "clientid", "object_id", "principal_id", "mi_res_id", "msi_res_id"}

// choose finds the client id that a request means. Selectors exclude each other,
// and an empty one is none, as at azure-workload-identity's proxy.
func (c Config) choose(query url.Values) (string, *refusal) {
	selector, id := "", ""
	for _, s := range selectors {
		v := query.Get(s)
		if v == "" {
			continue
		}
		if selector != "" {
			return "", badRequest("%s and %s exclude each other: name the identity once", selector, s)
		}
		if err := checkID(v); err != nil {
			return "", badRequest("%s %.80q %v", s, v, err)
		}
		selector, id = s, v
	}
	switch selector {
	case "":
		if c.ClientID == "" {
			return "", badRequest("the request names no identity, and there is no default one: send client_id, or set AZURE_CLIENT_ID (annotation azure.workload.identity/client-id of the service account)")
		}
		return c.ClientID, nil
	case "client_id", "clientid":
		return id, nil
	}
	for _, one := range c.Identities {
		if named := one.name(selector); named != "" && strings.EqualFold(named, id) {
			return one.ClientID, nil
		}
	}
	annotation := "entente.id/object-id"
	if strings.HasSuffix(selector, "res_id") {
		annotation = "entente.id/resource-id"
	}
	return "", badRequest("Identity not found: %s %q is none of the identities in ENTENTE_IDENTITIES; annotate the service account with %s, or ask by client_id", selector, id, annotation)
}

func (i Identity) name(selector string) string {
	if strings.HasSuffix(selector, "res_id") {
		return i.ResourceID
	}
	return i.ObjectID
}
