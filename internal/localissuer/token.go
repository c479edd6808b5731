package localissuer

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"
)

// DefaultAudience stands in tokens that name no audience: the one that federation wants.
// kube-apiserver itself would name its own API there.
const DefaultAudience = "api://AzureADTokenExchange"

// Token describes a token to mint. The zero value is a good token of the service account default/default.
type Token struct {
	Namespace         string // "" means "default"
	ServiceAccount    string // "" means "default"
	ServiceAccountUID string // "" means a UUID that is always the same for this namespace and name
	Pod, PodUID       string // no pod: the token is not bound to one; no UID: as above
	Node, NodeUID     string // the kubelet's tokens name the node of their pod

	Audiences []string      // always an array in the token; nil means DefaultAudience, empty an empty array
	Lifetime  time.Duration // 0 means one hour; kube-apiserver refuses less than ten minutes, Mint does not

	// What follows is for tests that need a token which no cluster would make.

	Issuer, Subject, KeyID      *string
	IssuedAt, NotBefore, Expiry *time.Time
	Extra                       map[string]any // claims set last, whatever they replace; a nil value removes the claim
	Header                      map[string]any // header members, likewise; alg changes the name alone, never the signature
	BadSignature                bool           // one bit of the signature is wrong
}

// Mint signs a token with the newest key. Without overrides its header and claims are those of a TokenRequest that
// kube-apiserver answered: header alg and kid without typ; aud, exp, iat, iss, jti, kubernetes.io, nbf, sub in that
// order; times in whole seconds with nbf equal to iat. A value that JSON cannot hold is an error.
func (i *Issuer) Mint(t Token) (string, error) {
	i.mu.Lock()
	issuer, k := i.url, i.keys[len(i.keys)-1]
	i.mu.Unlock()
	if t.Issuer != nil {
		issuer = *t.Issuer
	} else if issuer == "" {
		return "", errors.New("mint token: the issuer has no URL: start it or configure one")
	}
	header := map[string]any{"alg": string(k.alg), "kid": or(t.KeyID, k.id)}
	override(header, t.Header)
	claims := t.claims(issuer, i.config.Clock())
	override(claims, t.Extra)

	rawHeader, err := json.Marshal(header)
	if err != nil {
		return "", fmt.Errorf("encode token header: %w", err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode token claims: %w", err)
	}
	return k.sign(rawHeader, payload, t.BadSignature)
}

// Sign makes a token with a genuine signature of the newest key over any two parts, whether or not they are JSON:
// for verifiers that have to refuse duplicate members, broken UTF-8 and the like. A nil header means Mint's.
func (i *Issuer) Sign(header, payload []byte) (string, error) {
	i.mu.Lock()
	k := i.keys[len(i.keys)-1]
	i.mu.Unlock()
	if header == nil {
		header = fmt.Appendf(nil, `{"alg":%q,"kid":%q}`, k.alg, k.id)
	}
	return k.sign(header, payload, false)
}

func (k key) sign(header, payload []byte, bad bool) (string, error) {
	b64 := base64.RawURLEncoding
	input := b64.EncodeToString(header) + "." + b64.EncodeToString(payload)
	signature, err := k.signer.SignPayload([]byte(input), k.alg)
	if err != nil {
		return "", fmt.Errorf("sign token with key %q: %w", k.id, err)
	}
	if bad {
		signature[len(signature)/2] ^= 1
	}
	return input + "." + b64.EncodeToString(signature), nil
}

// claims are sorted by encoding/json, which is also kube-apiserver's order.
func (t Token) claims(issuer string, now time.Time) map[string]any {
	namespace, name := cmp.Or(t.Namespace, "default"), cmp.Or(t.ServiceAccount, "default")
	audiences := t.Audiences
	if audiences == nil {
		audiences = []string{DefaultAudience}
	}
	bound := map[string]any{
		"namespace":      namespace,
		"serviceaccount": reference(name, t.ServiceAccountUID, "serviceaccount/"+namespace),
	}
	if t.Pod != "" {
		bound["pod"] = reference(t.Pod, t.PodUID, "pod/"+namespace)
	}
	if t.Node != "" {
		bound["node"] = reference(t.Node, t.NodeUID, "node")
	}
	return map[string]any{
		"aud":           audiences,
		"exp":           or(t.Expiry, now.Add(cmp.Or(t.Lifetime, time.Hour))).Unix(),
		"iat":           or(t.IssuedAt, now).Unix(),
		"iss":           issuer,
		"jti":           uuid.NewString(),
		"kubernetes.io": bound,
		"nbf":           or(t.NotBefore, now).Unix(),
		"sub":           or(t.Subject, "system:serviceaccount:"+namespace+":"+name),
	}
}

// reference names an object of the cluster; the uid is derived from kind and name when there is none, so that
// two tokens of one service account agree as they do in a cluster.
func reference(name, uid, kind string) map[string]string {
	derived := uuid.NewSHA1(uuid.NameSpaceURL, []byte(kind+"/"+name)).String()
	return map[string]string{"name": name, "uid": cmp.Or(uid, derived)}
}

func or[T any](override *T, value T) T {
	if override != nil {
		return *override
	}
	return value
}

func override(members, with map[string]any) {
	maps.Copy(members, with)
	maps.DeleteFunc(members, func(_ string, v any) bool { return v == nil })
}
