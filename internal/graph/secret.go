package graph

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/directory"
)

// passwordObject is a client secret; text is null but in the answer that makes it.
func passwordObject(s directory.Secret, text string) object {
	return object{
		{"customKeyIdentifier", nil},
		{"displayName", orNull(s.DisplayName)},
		{"endDateTime", precisely(s.End)},
		{"hint", s.Hint},
		{"keyId", s.ID},
		{"secretText", orNull(text)},
		{"startDateTime", precisely(s.Start)},
	}
}

func passwords(list []directory.Secret) []object {
	shown := make([]object, 0, len(list))
	for _, s := range list {
		shown = append(shown, passwordObject(s, s.Text))
	}
	return shown
}

// addPasswordBody is the parameters of addPassword
// (https://learn.microsoft.com/graph/api/application-addpassword), none of which is required.
type addPasswordBody struct {
	PasswordCredential opt[json.RawMessage] `name:"passwordCredential"`
}

func (*addPasswordBody) mayBeEmpty() {}

type passwordBody struct {
	DisplayName   opt[string]    `name:"displayName"`
	StartDateTime opt[time.Time] `name:"startDateTime"`
	EndDateTime   opt[time.Time] `name:"endDateTime"`
}

// member refuses what the server sets: a secret is always its own.
func (*passwordBody) member(name string, value json.RawMessage) error {
	switch name {
	case "customKeyIdentifier", "hint", "keyId", "secretText":
		if string(value) != "null" {
			return requestBad("Property '%s' is read-only and cannot be set.", name)
		}
		return nil
	}
	return errUnknown
}

// addSecret and removeSecret are of the application or of the service principal in the path.
func (c *call) addSecret(n directory.NewSecret) (directory.Secret, string, error) {
	if c.keys[principal].text != "" {
		return c.Directory.AddPrincipalSecret(c, c.caller, c.ref, n)
	}
	return c.Directory.AddSecret(c, c.caller, c.ref, n)
}

func (c *call) removeSecret(id string) error {
	if c.keys[principal].text != "" {
		return c.Directory.RemovePrincipalSecret(c, c.caller, c.ref, id)
	}
	return c.Directory.RemoveSecret(c, c.caller, c.ref, id)
}

// firstPasswords reads the secrets with which an application is made
// (https://learn.microsoft.com/graph/api/application-post-applications, example 2).
func firstPasswords(sent opt[[]json.RawMessage]) ([]directory.Secret, error) {
	var list []directory.Secret
	for _, raw := range sent.value {
		var p passwordBody
		if err := decode(raw, &p); err != nil {
			return nil, err
		}
		list = append(list, directory.Secret{DisplayName: p.DisplayName.value, Start: p.StartDateTime.value, End: p.EndDateTime.value})
	}
	return list, nil
}

func (c *call) addPassword(b addPasswordBody) (answer, error) {
	var p passwordBody
	if b.PasswordCredential.given() {
		if err := decode(b.PasswordCredential.value, &p); err != nil {
			return answer{}, err
		}
	}
	secret, text, err := c.addSecret(directory.NewSecret{DisplayName: p.DisplayName.value, Start: p.StartDateTime.value, End: p.EndDateTime.value})
	if err != nil {
		return answer{}, err
	}
	return answer{body: append(object{{"@odata.context", c.context("microsoft.graph.passwordCredential")}}, passwordObject(secret, text)...)}, nil
}

type removePasswordBody struct {
	KeyID opt[string] `name:"keyId"`
}

func (c *call) removePassword(b removePasswordBody) (answer, error) {
	if !directory.IsID(b.KeyID.value) {
		return answer{}, invalidValue("PasswordCredential", "keyId", "a GUID is required")
	}
	return noContent(c.removeSecret(strings.ToLower(b.KeyID.value)))
}
