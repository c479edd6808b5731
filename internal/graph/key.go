package graph

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/entente-id/entente/internal/directory"
)

// The one kind of key credential that can log somebody in.
const (
	keyType  = "AsymmetricX509Cert"
	keyUsage = "Verify"
)

// keyObject is a certificate (https://learn.microsoft.com/graph/api/resources/keycredential).
// Its key is there when one application or service principal is read with
// $select=keyCredentials, and null everywhere else.
func keyObject(c directory.Certificate) object {
	var key any
	if len(c.DER) > 0 {
		key = base64.StdEncoding.EncodeToString(c.DER)
	}
	return object{
		{"customKeyIdentifier", c.Identifier},
		{"displayName", orNull(c.DisplayName)},
		{"endDateTime", precisely(c.End)},
		{"key", key},
		{"keyId", c.ID},
		{"startDateTime", precisely(c.Start)},
		{"type", keyType},
		{"usage", keyUsage},
	}
}

func keyObjects(list []directory.Certificate) []object {
	shown := make([]object, 0, len(list))
	for _, c := range list {
		shown = append(shown, keyObject(c))
	}
	return shown
}

// shownKeys are certificates without what the request does not ask for.
func (c *call) shownKeys(list []directory.Certificate) []directory.Certificate {
	if c.options.selects("keyCredentials") {
		return list
	}
	list = slices.Clone(list)
	for i := range list {
		list[i].DER = nil
	}
	return list
}

// keyBody is what a caller writes of a certificate. One that is there is sent
// back as it was read, without its key.
type keyBody struct {
	Identifier opt[string]    `name:"customKeyIdentifier"`
	Name       opt[string]    `name:"displayName"`
	End        opt[time.Time] `name:"endDateTime"`
	Key        opt[string]    `name:"key"`
	ID         opt[string]    `name:"keyId"`
	Start      opt[time.Time] `name:"startDateTime"`
	Type       opt[string]    `name:"type"`
	Usage      opt[string]    `name:"usage"`
}

func (*keyBody) member(name string, value json.RawMessage) error {
	if name == "hasExtendedValue" && isEmpty(value) {
		return nil
	}
	return errUnknown
}

// readKeys reads a list of key credentials, which is the whole new list.
func readKeys(sent opt[[]json.RawMessage]) ([]directory.Certificate, error) {
	list := make([]directory.Certificate, 0, len(sent.value))
	for _, raw := range sent.value {
		var b keyBody
		if err := decode(raw, &b); err != nil {
			return nil, err
		}
		c, err := b.certificate()
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

func (b *keyBody) certificate() (directory.Certificate, error) {
	c := directory.Certificate{ID: b.ID.value, DisplayName: b.Name.value, Start: b.Start.value, End: b.End.value}
	switch {
	case b.Type.value != "" && b.Type.value != keyType:
		return c, invalidKey("type", "only "+keyType+" can be kept: it is a certificate without its private key")
	case b.Usage.value != "" && b.Usage.value != keyUsage:
		return c, invalidKey("usage", "only "+keyUsage+" can be kept")
	}
	var err error
	if c.Identifier, err = readIdentifier(b.Identifier.value); err != nil {
		return c, err
	}
	if c.DER, err = readCertificate(b.Key.value); err != nil {
		return c, err
	}
	if c.DisplayName == "" {
		c.DisplayName = subjectOf(c.DER)
	}
	return c, nil
}

func invalidKey(property, why string) error { return invalidValue("KeyCredential", property, why) }

// readIdentifier reads a customKeyIdentifier. Graph shows a thumbprint in
// hexadecimal, and takes the base64 of any bytes as well.
func readIdentifier(text string) (string, error) {
	if _, err := hex.DecodeString(text); err == nil {
		return text, nil
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", invalidKey("customKeyIdentifier", "it is neither hexadecimal nor base64")
	}
	return strings.ToUpper(hex.EncodeToString(data)), nil
}

// readCertificate reads a key: DER in base64, whose lines may be broken as in
// PEM (az), or the base64 of a PEM text (Terraform's provider). What is more
// than one certificate is left as it is, for the domain to refuse.
func readCertificate(key string) ([]byte, error) {
	key = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, key)
	data, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return nil, invalidKey("key", "it is not base64")
	}
	if block, rest := pem.Decode(data); block != nil && block.Type == "CERTIFICATE" && len(strings.TrimSpace(string(rest))) == 0 {
		return block.Bytes, nil
	}
	return data, nil
}

// longestName is how long a display name may be.
const longestName = 256

// subjectOf is what Graph calls a certificate to which nobody gave a name.
func subjectOf(der []byte) string {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return "" // the domain says what is wrong with it
	}
	subject := []rune(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(c.Subject.String(), "�")))
	return string(subject[:min(len(subject), longestName)])
}
