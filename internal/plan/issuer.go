package plan

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/manifest"
)

// policy plans what the file says of the tenant's policy.
func (p *planner) policy() error {
	want := &p.file.Policy
	limited, registered := want.Has("maxFederatedIdentityCredentials"), want.Has("registeredIssuersOnly")
	if !limited && !registered || p.target.Service == azure {
		return nil
	}
	if limited {
		p.limit = &want.MaxCredentials
	}
	old, err := p.client.Policy(p.ctx)
	if err != nil {
		return err
	}
	s := &Step{Action: Unchanged, Kind: PolicyObject, Name: "default"}
	var put client.Policy
	if limited && old.MaxFederatedIdentityCredentials != want.MaxCredentials {
		put.MaxFederatedIdentityCredentials = want.MaxCredentials
		s.Changes = append(s.Changes, Change{"maxFederatedIdentityCredentials", old.MaxFederatedIdentityCredentials, want.MaxCredentials})
	}
	if is := old.RegisteredIssuersOnly != nil && *old.RegisteredIssuersOnly; registered && is != want.RegisteredIssuersOnly {
		put.RegisteredIssuersOnly = &want.RegisteredIssuersOnly
		s.Changes = append(s.Changes, Change{"registeredIssuersOnly", is, want.RegisteredIssuersOnly})
	}
	if len(s.Changes) > 0 {
		s.Action = Update
		s.do = func(ctx context.Context) error {
			_, err := p.client.PutPolicy(ctx, put)
			return err
		}
	}
	p.step(want.Place, s)
	return nil
}

// issuers plans the issuers of an Entente service. It is asked about them only
// when the file has some.
func (p *planner) issuers() error {
	if len(p.file.Issuers) == 0 || p.target.Service == azure {
		return nil
	}
	have, err := p.client.Issuers(p.ctx)
	if err != nil {
		return err
	}
	byURL, byName := map[string]client.Issuer{}, map[string]client.Issuer{}
	for _, i := range have {
		byURL[i.Issuer], byName[fold(i.Name)] = i, i
	}
	for n := range p.file.Issuers {
		want := &p.file.Issuers[n]
		old, there := byURL[want.URL]
		if there = there && !old.Implicit; !there {
			if other, taken := byName[fold(want.Name)]; taken && other.Issuer != want.URL {
				p.add(want.Place, "name", "%q is the name of the issuer %s", want.Name, other.Issuer)
				continue
			}
			old = client.Issuer{Name: want.Name, IssuerSpec: client.IssuerSpec{Issuer: want.URL, KeySource: client.DiscoveredKeys}}
		} else if old.KeySource == client.UploadedKeys { // which a list leaves out
			if old, err = p.client.Issuer(p.ctx, old.Name); err != nil {
				return err
			}
		}
		put := statedIssuer(old.IssuerSpec, want)
		s := &Step{Action: Unchanged, Kind: IssuerObject, Name: old.Name}
		if there && fold(old.Name) != fold(want.Name) {
			s.Declared = want.Name
			s.Notes = append(s.Notes, "it keeps the name that it has")
		}
		if s.Changes = issuerChanges(old.IssuerSpec, put, !there); !there {
			s.Action = Create
		} else if len(s.Changes) > 0 {
			s.Action = Update
		}
		s.do = func(ctx context.Context) error {
			_, _, err := p.client.PutIssuer(ctx, old.Name, put)
			return err
		}
		p.step(want.Place, s)
	}
	return nil
}

// statedIssuer is an issuer as it is, with what the manifest says of it.
func statedIssuer(i client.IssuerSpec, want *manifest.Issuer) client.IssuerSpec {
	if want.KeySource != "" { // its members go together
		i.KeySource, i.JWKSURI, i.KeySet = client.KeySource(want.KeySource), want.JWKSURI, want.KeySet
	}
	if want.Has("algorithms") {
		i.Algorithms = want.Algorithms
	}
	if want.Has("caCertificate") || want.Has("caCertificateFile") {
		i.CACertificate = want.CACertificate
	}
	if want.Has("allowMultipleAudiences") {
		i.AllowMultipleAudiences = want.ManyAudiences
	}
	return i
}

// issuerChanges are the fields that differ; key sets and certificates are shown
// by what tells them from others.
func issuerChanges(old, put client.IssuerSpec, made bool) []Change {
	var c changed
	if made {
		c.fresh("issuer", put.Issuer)
		c.fresh("keySource", string(put.KeySource))
		c.fresh("jwksUri", put.JWKSURI)
		c.fresh("keySet", keyIDs(put.KeySet))
		c.fresh("algorithms", put.Algorithms)
		c.fresh("caCertificate", digest(put.CACertificate))
		if put.AllowMultipleAudiences {
			c.fresh("allowMultipleAudiences", true)
		}
		return c
	}
	c.text("keySource", true, string(old.KeySource), string(put.KeySource))
	c.text("jwksUri", true, old.JWKSURI, put.JWKSURI)
	if !sameJSON(old.KeySet, put.KeySet) {
		c = append(c, Change{"keySet", keyIDs(old.KeySet), keyIDs(put.KeySet)})
	}
	c.set("algorithms", true, algorithms(old.Algorithms), algorithms(put.Algorithms))
	c.text("caCertificate", true, digest(old.CACertificate), digest(put.CACertificate))
	c.truth("allowMultipleAudiences", true, old.AllowMultipleAudiences, put.AllowMultipleAudiences)
	return c
}

func algorithms(list []string) []string {
	if len(list) == 0 {
		return []string{"RS256"} // which is what nothing means
	}
	return list
}

// keyIDs are the ids of a key set's keys, which is what people know keys by.
func keyIDs(set []byte) []string {
	var keys struct {
		Keys []struct {
			KID string `json:"kid"`
		} `json:"keys"`
	}
	_ = json.Unmarshal(set, &keys) // what has no ids shows none
	ids := make([]string, len(keys.Keys))
	for i, k := range keys.Keys {
		ids[i] = k.KID
	}
	return ids
}

// digest stands for a long text.
func digest(text string) string {
	if text == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:8])
}

// sameJSON compares two texts by what they mean.
func sameJSON(a, b []byte) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	var values [2]any
	for i, text := range [][]byte{a, b} {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if d.Decode(&values[i]) != nil {
			return false
		}
	}
	return reflect.DeepEqual(values[0], values[1])
}
