package graph

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
)

// credentialObject is a federated identity credential
// (https://learn.microsoft.com/graph/api/resources/federatedidentitycredential).
func (c *call) credentialObject(f directory.Credential) object {
	o := object{
		{"id", f.ID},
		{"name", f.Name},
		{"issuer", f.Issuer},
		{"subject", f.Subject},
		{"description", orNull(f.Description)},
		{"audiences", orEmpty(f.Audiences)},
	}
	if c.version == "beta" {
		o = append(o, member{"claimsMatchingExpression", nil})
	}
	return o
}

func (c *call) credentialNames() []string { return c.credentialObject(directory.Credential{}).names() }

// credentialSet is the context of an application's credentials.
func (c *call) credentialSet() string {
	return "applications('" + strings.ReplaceAll(c.ref.String(), "'", "''") + "')/federatedIdentityCredentials"
}

func (c *call) parent() directory.Parent { return directory.Parent{Application: &c.ref} }

// credentialBody is what a caller writes of a credential. Its id may be sent
// back as it was read; there is only one that it can be.
type credentialBody struct {
	ID          opt[string]          `name:"id"`
	Name        opt[string]          `name:"name"`
	Issuer      opt[string]          `name:"issuer"`
	Subject     opt[string]          `name:"subject"`
	Description opt[string]          `name:"description"`
	Audiences   opt[[]string]        `name:"audiences"`
	Expression  opt[json.RawMessage] `name:"claimsMatchingExpression"`
}

// check refuses what must not come as far as a comparison with what is there.
func (b *credentialBody) check() error {
	if b.Expression.given() {
		return invalidCredential("A claimsMatchingExpression is not supported: name the subject itself.").about("ClaimsMatchingExpression", string(b.Expression.value))
	}
	if b.Name.set && !clean(b.Name.value) {
		return domainFault(&directory.Error{Kind: directory.Invalid, Object: directory.CredentialObject, Err: credential.ValidateName(b.Name.value, credential.Application)})
	}
	return nil
}

func (b *credentialBody) spec() credential.Spec {
	return credential.Spec{Name: b.Name.value, Issuer: b.Issuer.value, Subject: b.Subject.value, Description: b.Description.value, Audiences: b.Audiences.value}
}

func (b *credentialBody) edit() directory.CredentialEdit {
	return directory.CredentialEdit{Name: b.Name.ptr(), Issuer: b.Issuer.ptr(), Subject: b.Subject.ptr(), Description: b.Description.ptr(), Audiences: b.Audiences.ptr()}
}

// fetchCredentials reads pages of those that the filter lets through.
func (c *call) fetchCredentials() (fetch[directory.Credential], error) {
	all := func(p directory.Page) (directory.Paged[directory.Credential], error) {
		return c.Directory.Credentials(c, c.caller, c.parent(), p)
	}
	clauses, err := c.clauses()
	if err != nil || len(clauses) == 0 {
		return all, err
	}
	wanted, err := matching(clauses, func(f directory.Credential, property string) (string, bool) {
		v, ok := map[string]string{"id": f.ID, "name": f.Name, "issuer": f.Issuer, "subject": f.Subject}[property]
		return v, ok
	})
	return func(p directory.Page) (directory.Paged[directory.Credential], error) {
		kept, err := readAll(all, wanted)
		slices.SortFunc(kept, func(a, b directory.Credential) int { return strings.Compare(a.Name, b.Name) })
		return cut(kept, p, func(_ int, f directory.Credential) string { return f.Name }), err
	}, err
}

// credentialKey is the id or name in the path. A key name='…' is never an id,
// though the domain would look for one.
func (c *call) credentialKey() (string, error) {
	s := c.keys[credentials]
	if s.key != "name" || !directory.IsID(s.text) {
		return s.text, nil
	}
	f, err := c.Directory.Credential(c, c.caller, c.parent(), s.text)
	if err == nil && f.Name != s.text {
		err = &directory.Error{Kind: directory.NotFound, Object: directory.CredentialObject, ID: s.text}
	}
	return s.text, err
}

func (c *call) listCredentials() (answer, error) {
	found, err := c.fetchCredentials()
	return listOf(c, c.credentialSet(), c.credentialNames(), c.credentialObject, found, err)
}

func (c *call) countCredentials() (answer, error) {
	return countOf(c.fetchCredentials())
}

func (c *call) getCredential() (answer, error) {
	key, err := c.credentialKey()
	if err != nil {
		return answer{}, err
	}
	f, err := c.Directory.Credential(c, c.caller, c.parent(), key)
	return c.one(c.credentialSet(), c.credentialObject(f), err)
}

func (c *call) createCredential(b credentialBody) (answer, error) {
	if err := b.check(); err != nil {
		return answer{}, err
	}
	f, err := c.Directory.AddCredential(c, c.caller, c.parent(), b.spec())
	return c.createdCredential(f, err)
}

func (c *call) createdCredential(f directory.Credential, err error) (answer, error) {
	return c.created(c.credentialSet(), c.credentialObject(f), "federatedIdentityCredentials/"+f.ID, err)
}

// updateCredential changes a credential; by name and with "Prefer:
// create-if-missing" it makes one that is not there
// (https://learn.microsoft.com/graph/api/federatedidentitycredential-upsert).
func (c *call) updateCredential(b credentialBody) (answer, error) {
	if err := b.check(); err != nil {
		return answer{}, err
	}
	if s := c.keys[credentials]; s.key == "name" && c.createsMissing() {
		return c.upsertCredential(s.text, b)
	}
	key, err := c.credentialKey()
	if err != nil {
		return answer{}, err
	}
	_, _, err = c.Directory.UpdateCredential(c, c.caller, c.parent(), key, b.edit(), false)
	return noContent(err)
}

func (c *call) upsertCredential(name string, b credentialBody) (answer, error) {
	f, created, err := c.Directory.UpdateCredential(c, c.caller, c.parent(), name, b.edit(), true)
	if !created {
		return noContent(err)
	}
	return c.createdCredential(f, err)
}

func (c *call) deleteCredential() (answer, error) {
	key, err := c.credentialKey()
	if err != nil {
		return answer{}, err
	}
	return noContent(c.Directory.RemoveCredential(c, c.caller, c.parent(), key))
}
