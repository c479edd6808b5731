package manifest

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/entente-id/entente/internal/credential"
)

// checker says what is wrong with values that were read, and fills in what
// follows from others. The rules are those of Azure, which every target of a
// manifest has; they stand here so that nothing is written anywhere when one is broken.
type checker struct {
	*decoder
	files fs.FS
	// issuers of the tenant at hand, by name.
	issuers map[string]string
	owner   string // of the file, if it has one
}

// add notes a problem of an object that the file holds; one that could not be
// read has its problem already.
func (c *checker) add(p Place, field, format string, args ...any) {
	if p.Line > 0 {
		c.problems.Add(p.Problem(field, format, args...))
	}
}

func (c *checker) manifest(m *Manifest) {
	if m.Has("version") && !m.bad["version"] && m.Version != SchemaVersion {
		c.add(m.Place, "version", "is %d, and this program reads version %d", m.Version, SchemaVersion)
	}
	c.ownerOf(m)
	c.names(&m.Default)
	c.objects(m.Place, &m.Objects)
	ids, domains, subscriptions := seen{}, seen{}, seen{}
	ids.note(strings.ToLower(m.Default.ID), m.Default.lineOf("id"))
	domains.note(strings.ToLower(m.Default.Domain), m.Default.lineOf("domain"))
	subscriptions.note(strings.ToLower(m.Default.SubscriptionID), m.Default.lineOf("subscriptionId"))
	for i := range m.Tenants {
		t := &m.Tenants[i]
		c.names(&t.Names)
		if !t.Has("id") && !t.Has("domain") {
			c.add(t.Place, "", "has neither an id nor a domain, by one of which it is found")
		}
		c.once(ids, t.Place, "id", strings.ToLower(t.ID))
		c.once(domains, t.Place, "domain", strings.ToLower(t.Domain))
		c.once(subscriptions, t.Place, "subscriptionId", strings.ToLower(t.SubscriptionID))
		if t.Administrator != nil {
			c.administrator(t.Administrator)
		}
		c.objects(t.Place, &t.Objects)
	}
}

// seen are the lines on which values of a kind stand first.
type seen map[string]int

// note returns the line of an earlier one, or 0. Nothing is no value.
func (s seen) note(value string, line int) int {
	first := s[value]
	if value != "" && first == 0 {
		s[value] = line
	}
	return first
}

// once says of a field whose value stood before where.
func (c *checker) once(s seen, p Place, field, value string) {
	if first := s.note(value, p.lineOf(field)); first > 0 {
		c.add(p, field, "is given twice, first on line %d", first)
	}
}

// given says whether a field can be checked, and that one is missing which is required.
func (c *checker) given(p Place, field string, required bool) bool {
	if required && !p.Has(field) {
		c.add(p, field, "is missing")
	}
	return p.Has(field) && !p.bad[field]
}

// The sizes of texts, in characters. Source: Microsoft Graph, resource types
// application and servicePrincipal; Azure Resource Manager, resource tags.
const (
	maxName     = 256
	maxText     = 1024
	maxURI      = 255
	maxLocation = 64
	maxScope    = 1024
	maxListed   = 200
	maxTags     = 50
	maxTagName  = 512
	maxTagValue = 256
)

// text checks a text that a person may choose.
func (c *checker) text(p Place, field, value string, required bool, limit int) {
	if !c.given(p, field, required) {
		return
	}
	switch {
	case required && value == "":
		c.add(p, field, "is empty")
	case utf8.RuneCountInString(value) > limit:
		c.add(p, field, "has more than %d characters", limit)
	}
}

// shape checks a text that has a form.
func (c *checker) shape(p Place, field, value string, required bool, fits func(string) bool, want string) {
	if c.given(p, field, required) && !fits(value) {
		c.add(p, field, "%s should be %s", quote(value), want)
	}
}

// list checks how long a list of texts is, and each of them.
func (c *checker) list(p Place, field string, values []string, each func(value string) error) {
	if !c.given(p, field, false) {
		return
	}
	if len(values) > maxListed {
		c.add(p, field, "has more than %d elements", maxListed)
		return
	}
	for i, value := range values {
		element := field + "[" + strconv.Itoa(i) + "]"
		if err := each(value); err != nil {
			c.add(p, element, "%s %v", quote(value), err)
		} else if slices.Contains(values[:i], value) {
			c.add(p, element, "%s stands in the list twice", quote(value))
		}
	}
}

func short(limit int) func(string) error {
	return func(value string) error {
		if value == "" || utf8.RuneCountInString(value) > limit {
			return fmt.Errorf("should have 1 to %d characters", limit)
		}
		return nil
	}
}

func oneOf(values ...string) func(string) error {
	return func(value string) error {
		if !slices.Contains(values, value) {
			return fmt.Errorf("is none of %s", strings.Join(values, ", "))
		}
		return nil
	}
}

func (c *checker) tags(p Place, tags map[string]string) {
	if len(tags) > maxTags {
		c.add(p, "tags", "has more than %d", maxTags)
	}
	for name, value := range tags {
		field := "tags[" + quote(name) + "]"
		if short(maxTagName)(name) != nil {
			c.add(p, field, "has a name that is empty or of more than %d characters", maxTagName)
		}
		if utf8.RuneCountInString(value) > maxTagValue {
			c.add(p, field, "has more than %d characters", maxTagValue)
		}
	}
}

var (
	guid       = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	domainName = regexp.MustCompile(`^(?i:([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$`)
)

const wantGUID = "a GUID, such as 9f2c6a5e-3b1d-4c8f-8a70-5d1e2b3c4d5e"

func (c *checker) names(n *Names) {
	for field, id := range map[string]string{"id": n.ID, "subscriptionId": n.SubscriptionID} {
		c.shape(n.Place, field, id, false, guid.MatchString, wantGUID)
		if guid.MatchString(id) && strings.Trim(id, "0-") == "" {
			c.add(n.Place, field, "is nobody's GUID")
		}
	}
	c.text(n.Place, "displayName", n.DisplayName, n.Has("displayName"), maxName)
	c.shape(n.Place, "domain", n.Domain, false, domainName.MatchString, "a domain name of at least two parts, such as dev.example.org")
	if len(n.Domain) > 253 {
		c.add(n.Place, "domain", "has more than 253 characters")
	}
}

func (c *checker) administrator(a *Administrator) {
	if c.given(a.Place, "issuer", true) {
		c.violation(a.Place, "issuer", credential.ValidateIssuer(a.Issuer))
	}
	a.Subject = c.subject(a.Place, a.Subject, a.ServiceAccount)
}

// violation says which rule of credentials the value of a field breaks, if any.
func (c *checker) violation(p Place, field string, err error) {
	if err == nil {
		return
	}
	if v, ok := err.(*credential.Violation); ok { // it names the field, which is said already
		text := v.Detail
		if v.Value != "" {
			text = quote(v.Value) + " " + text
		}
		c.add(p, field, "%s", text)
		return
	}
	c.add(p, field, "%v", err)
}

func (c *checker) objects(p Place, o *Objects) {
	if c.given(o.Policy.Place, "maxFederatedIdentityCredentials", p.Has("policy") && !p.bad["policy"] && !o.Policy.Has("registeredIssuersOnly")) && (o.Policy.MaxCredentials < 1 || o.Policy.MaxCredentials > maxCredentials) {
		c.add(o.Policy.Place, "maxFederatedIdentityCredentials", "should be between 1 and %d", maxCredentials)
	}
	c.issuersOf(o)
	c.groups(o)
	c.applications(o)
	c.identities(o)
}

// maxCredentials is the most that a policy may allow.
const maxCredentials = 100_000

// identityName is Azure's rule for user-assigned identities
// (https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules).
var identityName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{2,127}$`)

// isGroupName is the rule for resource groups on the same page. The number stands
// beside the pattern, because 90 of these classes take long to compile, in every process.
func isGroupName(s string) bool {
	return ofGroupName.MatchString(s) && utf8.RuneCountInString(s) <= maxGroupName && !strings.HasSuffix(s, ".")
}

var ofGroupName = regexp.MustCompile(`^[\p{L}\p{Nd}_().-]+$`)

const (
	maxGroupName = 90
	wantGroup    = "1 to 90 letters, digits, _ ( ) - and ., with no . at the end"
)

func (c *checker) groups(o *Objects) {
	names := seen{}
	for i := range o.ResourceGroups {
		g := &o.ResourceGroups[i]
		c.shape(g.Place, "name", g.Name, true, isGroupName, wantGroup)
		c.once(names, g.Place, "name", strings.ToLower(g.Name))
		c.text(g.Place, "location", g.Location, g.Has("location"), maxLocation)
		c.tags(g.Place, g.Tags)
	}
}

func (c *checker) identities(o *Objects) {
	names := seen{}
	for i := range o.ManagedIdentities {
		m := &o.ManagedIdentities[i]
		c.shape(m.Place, "name", m.Name, true, identityName.MatchString, "3 to 128 letters, digits, - and _, of which the first is a letter or digit")
		c.shape(m.Place, "resourceGroup", m.ResourceGroup, true, isGroupName, wantGroup)
		if m.Name != "" {
			c.once(names, m.Place, "name", strings.ToLower(m.ResourceGroup+"/"+m.Name))
		}
		c.text(m.Place, "location", m.Location, m.Has("location"), maxLocation)
		c.tags(m.Place, m.Tags)
		if c.given(m.Place, "isolationScope", false) {
			if err := oneOf("None", "Regional")(m.IsolationScope); err != nil {
				c.add(m.Place, "isolationScope", "%s %v", quote(m.IsolationScope), err)
			}
		}
		c.holder(&m.Holder, credential.ManagedIdentity)
	}
}

func spaced(s string) bool { return strings.ContainsFunc(s, unicode.IsSpace) }
