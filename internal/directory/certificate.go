package directory

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/rsakey"
)

// CertificateObject is the type of certificates in errors and audit events.
const CertificateObject Object = "certificate"

// Certificate is one whose private key proves to be an application or service
// principal (https://learn.microsoft.com/graph/api/resources/keycredential).
//
// A list that is written keeps those of its elements that name the ID of one
// that is there: nothing else of such an element counts. Any other needs DER;
// empty fields are made from it.
type Certificate struct {
	ID          string // GUID; one without gets a new one
	DisplayName string
	Identifier  string // in hexadecimal, as its writer gave it; the SHA-1 thumbprint in upper case when it gave none
	// DER is the certificate. It is read with one application or service
	// principal, and not in lists.
	DER          []byte
	SHA1, SHA256 string    // thumbprints, in lower-case hexadecimal
	Start, End   time.Time // within the certificate's own times, which they are when they were not given
}

// The bounds on certificates. One with an RSA key of 8192 bits has about 2,000 bytes.
const (
	maxCertificates = 100
	maxCertificate  = 8 << 10
	maxIdentifier   = 128
)

// within says whether the certificate counts at a time.
func (c Certificate) within(now time.Time) bool { return !now.Before(c.Start) && now.Before(c.End) }

// read fills in what the DER of a new certificate says, and refuses it when
// nobody could log in with it, or not for as long as was asked.
func (c Certificate) read() (Certificate, error) {
	const o = CertificateObject
	parsed, err := parseCertificate(c.DER)
	if err != nil {
		return c, invalid(o, "key", "%s", err)
	}
	one, two := sha1.Sum(c.DER), sha256.Sum256(c.DER)
	c.SHA1, c.SHA256 = hex.EncodeToString(one[:]), hex.EncodeToString(two[:])
	c.ID = cmp.Or(fold(c.ID), newID())
	if !IsID(c.ID) {
		return c, invalid(o, "keyId", "%q is not a GUID", c.ID)
	}
	if err := checkText(o, "displayName", c.DisplayName, maxName); err != nil {
		return c, err
	}
	c.Identifier = cmp.Or(c.Identifier, strings.ToUpper(c.SHA1))
	if _, err := hex.DecodeString(c.Identifier); err != nil || len(c.Identifier) > maxIdentifier {
		return c, invalid(o, "customKeyIdentifier", "is not at most %d hexadecimal digits", maxIdentifier)
	}
	notBefore, notAfter := parsed.NotBefore.UTC(), parsed.NotAfter.UTC()
	if c.Start, c.End = c.Start.UTC().Truncate(time.Millisecond), c.End.UTC().Truncate(time.Millisecond); c.Start.IsZero() {
		c.Start = notBefore
	}
	if c.End.IsZero() {
		c.End = notAfter
	}
	switch {
	case c.Start.Before(notBefore):
		return c, invalid(o, "startDateTime", "is before %s, when the certificate's time starts", notBefore.Format(time.RFC3339))
	case c.End.After(notAfter):
		return c, invalid(o, "endDateTime", "is after %s, when the certificate expires", notAfter.Format(time.RFC3339))
	case !c.End.After(c.Start):
		return c, invalid(o, "endDateTime", "must be after startDateTime")
	}
	return c, nil
}

// parseCertificate reads one X.509 certificate in DER (RFC 5280) whose key can
// verify an assertion. Nothing of what it refuses stands in its errors.
func parseCertificate(der []byte) (*x509.Certificate, error) {
	switch {
	case len(der) == 0:
		return nil, errors.New("is required for a new certificate")
	case len(der) > maxCertificate:
		return nil, fmt.Errorf("is longer than %d bytes", maxCertificate)
	case holdsSecret(der):
		return nil, errors.New("holds a private key, which must stay with its owner: give the certificate alone, in DER")
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errors.New("is not an X.509 certificate in DER")
	}
	key, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("has no RSA key: one of %d to %d bits is needed", rsakey.MinBits, rsakey.MaxBits)
	}
	if err := rsakey.Check(key.N, big.NewInt(int64(key.E))); err != nil {
		return nil, fmt.Errorf("cannot be used: %w", err)
	}
	return c, nil
}

// holdsSecret says whether data is what people confuse with a certificate: a
// private key (PKCS#1, SEC 1, PKCS#8 in the clear or encrypted), a PKCS#12 file
// (RFC 7292), or a PEM text with one.
func holdsSecret(data []byte) bool {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN")) {
		return bytes.Contains(data, []byte("PRIVATE KEY-----"))
	}
	var outer, first, second asn1.RawValue
	if _, err := asn1.Unmarshal(data, &outer); err != nil || outer.Tag != asn1.TagSequence {
		return false
	}
	rest, err := asn1.Unmarshal(outer.Bytes, &first)
	if err != nil || first.Class != asn1.ClassUniversal {
		return false
	}
	if first.Tag == asn1.TagInteger {
		return true // the version that all but the encrypted key start with; a certificate starts with a sequence
	}
	_, err = asn1.Unmarshal(rest, &second)
	return err == nil && second.Class == asn1.ClassUniversal && second.Tag == asn1.TagOctetString // RFC 5958 section 3
}

const certificateColumns = `holder_id, id, display_name, identifier, sha1, sha256, start_at, end_at`

// certificatesOf reads the certificates of at least one holder, by its id, each list by age.
func certificatesOf(ctx context.Context, q db.Querier, holders []string, withDER bool) (map[string][]Certificate, error) {
	w := where{}
	w.in(`holder_id`, holders)
	der := `''`
	if withDER {
		der = `certificate`
	}
	certificates := map[string][]Certificate{}
	_, err := query(ctx, q, func(r row) (struct{}, error) {
		holder, c, err := scanCertificate(r)
		certificates[holder] = append(certificates[holder], c)
		return struct{}{}, err
	}, `SELECT `+certificateColumns+`, `+der+` FROM certificates WHERE `+w.text()+` ORDER BY holder_id, created_at, id`, w.args...)
	return certificates, err
}

func scanCertificate(r row) (holder string, c Certificate, err error) {
	var der string
	var start, end int64
	if err := r.Scan(&holder, &c.ID, &c.DisplayName, &c.Identifier, &c.SHA1, &c.SHA256, &start, &end, &der); err != nil {
		return "", c, err
	}
	c.Start, c.End = fromMillis(start), fromMillis(end)
	if der == "" {
		return holder, c, nil
	}
	c.DER, err = base64.StdEncoding.DecodeString(der)
	return holder, c, err
}

// What the writes of secrets and certificates are called.
const (
	updateKeys          = "applications/credentials/update"
	updatePrincipalKeys = "servicePrincipals/credentials/update"
)

// A holder is an application or service principal whose row is locked, for a
// write of its certificates that is permitted.
type holder struct {
	id     string
	action string // for the audit events, of which there is one for each certificate that comes or goes
	note   string // under which the events name it
}

func (app Application) holder() holder { return holder{app.ID, updateKeys, "application"} }
func (p ServicePrincipal) holder() holder {
	return holder{p.ID, updatePrincipalKeys, "servicePrincipal"}
}

// setCertificates makes want the certificates of a holder that has those of
// before, and returns them as they are then.
func (a *act) setCertificates(h holder, before, want []Certificate) ([]Certificate, error) {
	after, err := mergeCertificates(before, want)
	if err != nil {
		return nil, err
	}
	if len(after) > maxCertificates && len(after) > len(before) {
		return nil, &Error{Kind: LimitReached, Object: CertificateObject, ID: h.id, Limit: maxCertificates}
	}
	for _, c := range before {
		if hasCertificate(after, c.ID) {
			continue
		}
		a.noteCertificate(h, c, "removed")
		if _, err := exec(a, a.tx, `DELETE FROM certificates WHERE holder_id = $1 AND id = $2`, h.id, c.ID); err != nil {
			return nil, err
		}
	}
	for _, c := range after {
		if hasCertificate(before, c.ID) {
			continue
		}
		a.noteCertificate(h, c, "added")
		if _, err := exec(a, a.tx, `INSERT INTO certificates (holder_id, id, display_name, identifier, certificate, sha1, sha256, start_at, end_at, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, h.id, c.ID, c.DisplayName, c.Identifier, base64.StdEncoding.EncodeToString(c.DER),
			c.SHA1, c.SHA256, millis(c.Start), millis(c.End), millis(a.at)); err != nil {
			return nil, err
		}
	}
	stored, err := certificatesOf(a, a.tx, []string{h.id}, true)
	return stored[h.id], err
}

func hasCertificate(list []Certificate, id string) bool {
	return slices.ContainsFunc(list, func(c Certificate) bool { return c.ID == id })
}

// mergeCertificates is the list that want, as somebody wrote it, makes of before.
func mergeCertificates(before, want []Certificate) ([]Certificate, error) {
	after := make([]Certificate, 0, len(want))
	for _, c := range want {
		i := slices.IndexFunc(before, func(old Certificate) bool { return c.ID != "" && old.ID == fold(c.ID) })
		if i >= 0 {
			if sum := sha256.Sum256(c.DER); len(c.DER) > 0 && hex.EncodeToString(sum[:]) != before[i].SHA256 {
				return nil, &Error{Kind: Immutable, Object: CertificateObject, ID: before[i].ID, Field: "key"}
			}
			c = before[i]
		} else {
			var err error
			if c, err = c.read(); err != nil {
				return nil, err
			}
		}
		if hasCertificate(after, c.ID) {
			return nil, invalid(CertificateObject, "keyId", "%q stands twice", c.ID)
		}
		after = append(after, c)
	}
	return after, nil
}

// noteCertificate adds an audit event to those of a write that is permitted.
func (a *act) noteCertificate(h holder, c Certificate, what string) {
	t := &target{action: "microsoft.directory/" + h.action, object: CertificateObject, id: c.ID, name: c.DisplayName}
	t.note(h.note, h.id)
	t.note(what, c.ID)
	t.note("sha256", c.SHA256)
	a.noted = append(a.noted, t)
}
