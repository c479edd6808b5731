package hosted

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

// metadata is the minimal provider configuration, with the members that
// kube-apiserver gives it, in its order.
type metadata struct {
	Issuer        string   `json:"issuer"`
	JWKSURI       string   `json:"jwks_uri"`
	ResponseTypes []string `json:"response_types_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
}

// discovery describes an issuer under the URL that it was made with, which is
// the one in the cluster's tokens, whatever name the service is asked under.
func discovery(i directory.Issuer) (document, error) {
	algorithms := i.Algorithms
	if len(algorithms) == 0 {
		algorithms = []string{"RS256"}
	}
	text, err := json.Marshal(metadata{
		Issuer: i.URL, JWKSURI: strings.TrimSuffix(i.URL, "/") + "/" + keysPath,
		ResponseTypes: []string{"id_token"}, SubjectTypes: []string{"public"}, Algorithms: algorithms,
	})
	return document{"application/json", text}, err
}

// keys publishes a key set as it was uploaded: each key with all its members.
func keys(i directory.Issuer) (document, error) {
	if !json.Valid(i.KeySet) {
		return document{}, fmt.Errorf("the key set of the issuer %q is not JSON", i.Name)
	}
	return document{"application/jwk-set+json", i.KeySet}, nil
}
