package graph

import (
	"encoding/json"

	"github.com/entente-id/entente/internal/strictjson"
)

// shape is what a member of an application may hold that this server keeps for
// its clients and does not read itself. Graph shows such a member whole, with
// defaults, and changes of one that was sent only what was sent of it.
type shape struct {
	kind     kind
	fallback string // JSON of the default; empty: null
	members  []namedShape
}

type namedShape struct {
	name string
	shape
}

type kind int

const (
	text     kind = iota // a string or null
	flag                 // a boolean or null
	number               // a number or null
	texts                // an array of strings
	objects              // an array of objects
	document             // an object or null, kept as it is
	record               // an object of the members
	readOnly             // not to be set
)

var (
	someText    = shape{kind: text}
	someFlag    = shape{kind: flag}
	someTexts   = shape{kind: texts, fallback: "[]"}
	someObjects = shape{kind: objects, fallback: "[]"}
	someObject  = shape{kind: document}
	no          = shape{kind: flag, fallback: "false"}
	redirects   = shape{kind: record, members: []namedShape{{"redirectUris", someTexts}}}
)

// extras are the members of an application that are only kept
// (https://learn.microsoft.com/graph/api/resources/application).
var extras = map[string]shape{
	"groupMembershipClaims":             someText,
	"isDeviceOnlyAuthSupported":         someFlag,
	"isFallbackPublicClient":            someFlag,
	"serviceManagementReference":        someText,
	"tokenEncryptionKeyId":              someText,
	"samlMetadataUrl":                   someText,
	"defaultRedirectUri":                someText,
	"nativeAuthenticationApisEnabled":   someText,
	"oauth2RequirePostResponse":         no,
	"optionalClaims":                    someObject,
	"requestSignatureVerification":      someObject,
	"servicePrincipalLockConfiguration": someObject,
	"addIns":                            someObjects,
	"requiredResourceAccess":            someObjects,
	"publicClient":                      redirects,
	"spa":                               redirects,
	"api": {kind: record, members: []namedShape{
		{"acceptMappedClaims", someFlag},
		{"knownClientApplications", someTexts},
		{tokenVersion, shape{kind: number}},
		{"oauth2PermissionScopes", someObjects},
		{"preAuthorizedApplications", someObjects},
	}},
	"info": {kind: record, members: []namedShape{
		{"logoUrl", shape{kind: readOnly}},
		{"marketingUrl", someText},
		{"privacyStatementUrl", someText},
		{"supportUrl", someText},
		{"termsOfServiceUrl", someText},
	}},
	"parentalControlSettings": {kind: record, members: []namedShape{
		{"countriesBlockedForMinors", someTexts},
		{"legalAgeGroupRule", shape{kind: text, fallback: `"Allow"`}},
	}},
	"web": {kind: record, members: []namedShape{
		{"homePageUrl", someText},
		{"logoutUrl", someText},
		{"redirectUris", someTexts},
		{"implicitGrantSettings", shape{kind: record, members: []namedShape{
			{"enableAccessTokenIssuance", no},
			{"enableIdTokenIssuance", no},
		}}},
		{"redirectUriSettings", someObjects},
	}},
}

// principalExtras are those of a service principal, none of which is a record
// (https://learn.microsoft.com/graph/api/resources/serviceprincipal).
var principalExtras = map[string]shape{
	"alternativeNames":           someTexts,
	"description":                someText,
	"loginUrl":                   someText,
	"notes":                      someText,
	"notificationEmailAddresses": someTexts,
	"preferredSingleSignOnMode":  someText,
	"samlSingleSignOnSettings":   someObject,
}

// merge checks what was sent of a resource and puts it over what is there. nil means the default.
func (s shape) merge(resource, name string, old, sent json.RawMessage) (json.RawMessage, error) {
	if string(sent) == "null" {
		return nil, nil
	}
	switch s.kind {
	case readOnly:
		return nil, setReadOnly(name)
	case record:
		return s.mergeRecord(resource, name, old, sent)
	}
	into := map[kind]any{
		text: new(string), flag: new(bool), number: new(float64), texts: new([]string),
		objects: new([]map[string]json.RawMessage), document: new(map[string]json.RawMessage),
	}[s.kind]
	if strictjson.Decode(sent, into) != nil {
		return nil, invalidValue(resource, name, "")
	}
	return sent, nil
}

func (s shape) mergeRecord(resource, name string, old, sent json.RawMessage) (json.RawMessage, error) {
	o, err := strictjson.ParseOuter(sent)
	if err != nil {
		return nil, invalidValue(resource, name, "")
	}
	merged := map[string]json.RawMessage{}
	if old != nil {
		if err := json.Unmarshal(old, &merged); err != nil {
			return nil, err
		}
	}
	for _, m := range s.members {
		value, ok := o[m.name]
		if !ok {
			continue
		}
		delete(o, m.name)
		if value, err = m.merge(resource, name+"."+m.name, merged[m.name], value); err != nil {
			return nil, err
		}
		if delete(merged, m.name); value != nil {
			merged[m.name] = value
		}
	}
	for unknown := range o {
		if err := unknownMember(unknown); err != nil {
			return nil, requestBad("Invalid property '%s.%s'.", name, unknown)
		}
	}
	if len(merged) == 0 {
		return nil, nil
	}
	return json.Marshal(merged)
}

// render shows what is kept, whole.
func (s shape) render(kept json.RawMessage) any {
	if s.kind != record {
		switch {
		case kept != nil:
			return kept
		case s.fallback != "":
			return json.RawMessage(s.fallback)
		}
		return nil
	}
	members := map[string]json.RawMessage{}
	if kept != nil && json.Unmarshal(kept, &members) != nil {
		members = nil // what was kept was checked; a hand-made row shows the defaults
	}
	var o object
	for _, m := range s.members {
		o = append(o, member{m.name, m.render(members[m.name])})
	}
	return o
}

// tokenVersion is the one member of api that the domain reads.
const tokenVersion = "requestedAccessTokenVersion"

func withTokenVersion(api json.RawMessage, version int) json.RawMessage {
	if version == 0 {
		return api
	}
	members := map[string]json.RawMessage{}
	if api != nil && json.Unmarshal(api, &members) != nil {
		return api
	}
	members[tokenVersion], _ = json.Marshal(version) // an int can be encoded
	data, _ := json.Marshal(members)                 // and so can what was decoded
	return data
}

func splitTokenVersion(api json.RawMessage) (rest json.RawMessage, version int, err error) {
	if api == nil {
		return nil, 0, nil
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(api, &members); err != nil {
		return nil, 0, err
	}
	switch string(members[tokenVersion]) {
	case "":
	case "1":
		version = 1
	case "2":
		version = 2
	default:
		return nil, 0, invalidValue("Application", "api."+tokenVersion, "it is 1, 2 or null")
	}
	if delete(members, tokenVersion); len(members) == 0 {
		return nil, version, nil
	}
	rest, err = json.Marshal(members)
	return rest, version, err
}
