package seed

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/manifest"
)

func (t *tenant) issuers(o *manifest.Objects) error {
	var have []directory.Issuer
	if t.there && len(o.Issuers) > 0 {
		var err error
		if have, err = all(func(page directory.Page) (directory.Paged[directory.Issuer], error) {
			return t.Directory.Issuers(t, t.caller, page)
		}); err != nil {
			return err
		}
	}
	byURL, byName := map[string]directory.Issuer{}, map[string]directory.Issuer{}
	for _, i := range have {
		byURL[i.URL], byName[fold(i.Name)] = i, i
	}
	for n := range o.Issuers {
		want := &o.Issuers[n]
		if t.CheckKeySet != nil && len(want.KeySet) > 0 {
			field := "keySet"
			if want.Has("keySetFile") {
				field = "keySetFile"
			}
			if err := t.CheckKeySet(want.KeySet); err != nil {
				t.add(want.Place, field, "%v", err)
			}
		}
		old, there := byURL[want.URL]
		if set := there && !old.Implicit; set {
			if fold(old.Name) != fold(want.Name) {
				t.Log.InfoContext(t, "seed: an issuer keeps the name that it has", "name", want.Name, "has", old.Name, "issuer", old.URL, "tenant", t.caller.TenantID)
			}
		} else {
			if other, taken := byName[fold(want.Name)]; taken && other.URL != want.URL {
				t.add(want.Place, "name", "%q is the name of the issuer %s", want.Name, other.URL)
				continue
			}
			there, old = false, directory.Issuer{Name: want.Name, URL: want.URL, KeySource: directory.DiscoveredKeys}
		}
		put := stated(old, want)
		write := func() ([]any, error) {
			_, _, err := t.Directory.PutIssuer(t, t.caller, put)
			return []any{"issuer", put.URL}, err
		}
		switch {
		case !there:
			t.make(directory.IssuerObject, put.Name, want.Place, write)
		case sameIssuer(old, put):
			t.unchanged++
		default:
			t.change(directory.IssuerObject, put.Name, want.Place, func() error { _, err := write(); return err })
		}
	}
	return nil
}

// stated is an issuer as it is, with what the manifest says of it.
func stated(i directory.Issuer, want *manifest.Issuer) directory.Issuer {
	if want.KeySource != "" { // its members go together
		i.KeySource, i.JWKSURI, i.KeySet = directory.KeySource(want.KeySource), want.JWKSURI, want.KeySet
	}
	if want.Has("algorithms") {
		i.Algorithms = want.Algorithms
	}
	if want.Has("caCertificate") || want.Has("caCertificateFile") {
		i.CAPEM = want.CACertificate
	}
	if want.Has("allowMultipleAudiences") {
		i.ManyAudiences = want.ManyAudiences
	}
	return i
}

func sameIssuer(a, b directory.Issuer) bool {
	return a.KeySource == b.KeySource && a.JWKSURI == b.JWKSURI && sameJSON(a.KeySet, b.KeySet) &&
		slices.Equal(algorithms(a), algorithms(b)) && a.CAPEM == b.CAPEM && a.ManyAudiences == b.ManyAudiences
}

func algorithms(i directory.Issuer) []string {
	if len(i.Algorithms) == 0 {
		return []string{"RS256"} // which is what nothing means
	}
	return i.Algorithms
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
