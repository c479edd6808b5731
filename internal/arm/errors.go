package arm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
)

// refusal is an error as this wire says it.
type refusal struct {
	status  int
	code    string
	message string
	detail  string // more for people, as a detail of the error
	header  map[string]string
}

func (e *refusal) Error() string { return e.code + ": " + e.message }

func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

func badRequest(format string, args ...any) *refusal {
	return refuse(http.StatusBadRequest, "BadRequest", format, args...)
}

// cloudError is Azure's error body (https://learn.microsoft.com/azure/azure-resource-manager/management/error-response).
type cloudError struct {
	Error errorBody `json:"error"`
}

type errorBody struct {
	Code    string      `json:"code"`
	Message string      `json:"message"`
	Details []errorBody `json:"details,omitempty"`
}

func (e *refusal) answer() *answer {
	body := cloudError{errorBody{Code: e.code, Message: e.message}}
	if e.detail != "" {
		body.Error.Details = []errorBody{{Code: "Reason", Message: e.detail}}
	}
	header := map[string]string{"X-Ms-Error-Code": e.code}
	for name, value := range e.header {
		header[name] = value
	}
	return &answer{status: e.status, body: body, header: header}
}

const internalText = "The server encountered an internal error. Please try again later."

var errInternal = refuse(http.StatusInternalServerError, "InternalServerError", internalText)

// refusal says an error of any sort in this wire's words. What is not known is
// logged whole and shown as a fixed sentence.
func (s *Surface) refusal(c *call, err error) *refusal {
	if e, ok := errors.AsType[*refusal](err); ok {
		return e
	}
	e, ok := errors.AsType[*directory.Error](err)
	if !ok {
		if c.Err() == nil || !errors.Is(err, context.Canceled) {
			s.log.ErrorContext(c, "request failed", "request", c.id, "error", err)
		}
		return errInternal
	}
	switch e.Kind {
	case directory.Unauthenticated:
		return s.unauthenticated(c, e)
	case directory.Forbidden:
		return forbidden(c, e)
	case directory.NotFound:
		return s.notFound(c, e)
	case directory.Exists:
		return exists(e)
	case directory.Immutable:
		return immutable(c, e)
	case directory.InUse:
		return inUse(e)
	case directory.LimitReached:
		if e.Object == directory.PortalLinkObject {
			return refuse(http.StatusConflict, "PortalLinkLimitReached", "'%s' has %d links to the portal open already, which is as many as can be. Each ends when it is used, or expires.", clip(e.ID), e.Limit)
		}
		return badRequest("The managed identity '%s' has the maximum number of federated identity credentials already: %d.", clip(e.ID), e.Limit)
	case directory.Invalid:
		return invalid(c, e)
	case directory.Full:
		s.log.ErrorContext(c, "request failed", "request", c.id, "error", err)
		return refuse(http.StatusInsufficientStorage, "InsufficientStorage", "The server has no room left to store the change, which was not made. What is stored is not affected.")
	}
	s.log.ErrorContext(c, "error of an unknown kind", "request", c.id, "error", err)
	return errInternal
}

func forbidden(c *call, e *directory.Error) *refusal {
	caller := e.Caller
	if caller.PrincipalID == "" {
		caller = c.caller
	}
	r := refuse(http.StatusForbidden, "AuthorizationFailed",
		"The client '%s' with object id '%s' does not have authorization to perform action '%s' over scope '%s' or the scope is invalid. If access was recently granted, please refresh your credentials.",
		caller.AppID, caller.PrincipalID, e.Action, clip(e.Scope))
	r.detail = sentence(e.Detail)
	return r
}

// resourceNotFound is Azure's text for a resource, in a group or, without one, of the tenant.
func resourceNotFound(kind, name, group string) *refusal {
	if group == "" {
		return refuse(http.StatusNotFound, "ResourceNotFound", "The Resource '%s/%s' was not found.", kind, clip(name))
	}
	return refuse(http.StatusNotFound, "ResourceNotFound",
		"The Resource '%s/%s' under resource group '%s' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix", kind, clip(name), clip(group))
}

func (s *Surface) notFound(c *call, e *directory.Error) *refusal {
	id, group := clip(e.ID), cmp.Or(c.args["group"], e.Group)
	switch e.Object {
	case directory.SubscriptionObject:
		return refuse(http.StatusNotFound, "SubscriptionNotFound", "The subscription '%s' could not be found.", id)
	case directory.GroupObject:
		return refuse(http.StatusNotFound, "ResourceGroupNotFound", "Resource group '%s' could not be found.", id)
	case directory.IdentityObject:
		if strings.Contains(c.route.Pattern, "/federatedIdentityCredentials") {
			return s.orphan(c)
		}
		return resourceNotFound(identityType, e.ID, group)
	case directory.CredentialObject:
		return resourceNotFound(identityType, clip(c.args["identity"])+"/federatedIdentityCredentials/"+id, group)
	case directory.AssignmentObject:
		return refuse(http.StatusNotFound, "RoleAssignmentNotFound", "The role assignment '%s' is not found.", id)
	case directory.RoleDefinitionObject:
		return refuse(http.StatusNotFound, "RoleDefinitionDoesNotExist", "The specified role definition with ID '%s' does not exist.", id)
	case directory.PrincipalObject:
		return badPrincipal(e)
	case directory.ClusterObject:
		return resourceNotFound(containerService+"/managedClusters", e.ID, group)
	case directory.IssuerObject:
		return resourceNotFound(federation+"/issuers", e.ID, "")
	case directory.TenantObject:
		return resourceNotFound(federation+"/tenants", e.ID, "")
	}
	return refuse(http.StatusNotFound, "NotFound", "The %s '%s' could not be found.", e.Object, id)
}

// badPrincipal is told with 400, and az looks for the words "does not exist in
// the directory" to wait for a principal that was just made.
func badPrincipal(e *directory.Error) *refusal {
	return refuse(http.StatusBadRequest, "PrincipalNotFound",
		"Principal %s does not exist in the directory %s. Check that you have the correct principal ID. If you are creating this principal and then immediately assigning a role, this error might be related to a replication delay. In this case, set the role assignment principalType property to a value, such as ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype",
		clip(e.ID), e.Detail)
}

// orphan is a credential's error when its identity is not there, or not even the group.
func (s *Surface) orphan(c *call) *refusal {
	if _, err := s.dir.Group(c, c.caller, c.subscription.ID, c.args["group"]); err != nil {
		if e, ok := errors.AsType[*directory.Error](err); ok && e.Kind == directory.NotFound {
			return s.notFound(c, e)
		}
	}
	verb := map[string]string{http.MethodPut: "write", http.MethodDelete: "delete"}[c.r.Method]
	if verb == "" {
		verb = "read"
	}
	return refuse(http.StatusNotFound, "ParentResourceNotFound",
		"Failed to perform '%s' on resource(s) of type 'userAssignedIdentities/federatedIdentityCredentials', because the parent resource '/subscriptions/%s/resourceGroups/%s/providers/%s/%s' could not be found.",
		verb, c.subscription.ID, clip(c.args["group"]), identityType, clip(c.args["identity"]))
}

func exists(e *directory.Error) *refusal {
	switch e.Object {
	case directory.CredentialObject:
		if e.Field == "name" { // two first writers of one name; the second may try again
			return refuse(http.StatusConflict, "Conflict", "Federated Identity Credential '%s' was created at the same moment.", clip(e.ID))
		}
		return badRequest("Issuer and subject combination already exists for this Managed Identity.")
	case directory.AssignmentObject:
		return refuse(http.StatusConflict, "RoleAssignmentExists", "The role assignment already exists.")
	}
	r := refuse(http.StatusConflict, "Conflict", "The %s '%s' conflicts with another one that has the same %s.", e.Object, clip(e.ID), e.Field)
	r.detail = sentence(e.Detail)
	return r
}

func inUse(e *directory.Error) *refusal {
	if e.Object == directory.ClusterObject {
		return refuse(http.StatusConflict, "IssuerInUse", "The issuer of the cluster '%s' is named by these federated identity credentials, which must be removed first: %s.", clip(e.ID), clip(e.Detail))
	}
	return refuse(http.StatusConflict, "IssuerInUse", "The issuer '%s' is in use: %s", clip(e.ID), sentence(e.Detail))
}

func immutable(c *call, e *directory.Error) *refusal {
	switch {
	case e.Object == directory.GroupObject && e.Field == "location":
		return refuse(http.StatusConflict, "InvalidResourceGroupLocation", "Invalid resource group location. The Resource group already exists in location '%s'.", clip(e.Detail))
	case e.Field == "location":
		return refuse(http.StatusConflict, "InvalidResourceLocation", "The resource '%s' already exists in location '%s' in resource group '%s'. A resource with the same name cannot be created in another location. Please select a new resource name.",
			clip(e.ID), clip(e.Detail), clip(c.args["group"]))
	}
	return refuse(http.StatusConflict, "PropertyChangeNotAllowed", "Changing property '%s' of the %s '%s' is not allowed; it is '%s'.", e.Field, e.Object, clip(e.ID), clip(e.Detail))
}

func invalid(c *call, e *directory.Error) *refusal {
	switch {
	case e.Object == directory.CredentialObject && e.Field == "administrator":
		return badRequest("The federated identity credential of the administrator is not valid: %s", sentence(ruleOf(e)))
	case e.Object == directory.CredentialObject:
		return invalidCredential(e)
	case e.Object == directory.ClusterObject && e.Field == "oidcIssuerProfile":
		return c.notRegistered("it must be told which issuer the cluster has")
	case e.Field == "location" && e.Detail == "is required":
		return refuse(http.StatusBadRequest, "LocationRequired", "The location property is required for this definition.")
	case e.Field == "tags":
		return refuse(http.StatusBadRequest, "InvalidTags", "The tags are not valid: %s", sentence(e.Detail))
	case e.Field == "name" && e.Object == directory.GroupObject:
		return refuse(http.StatusBadRequest, "InvalidResourceGroupName", "The resource group name is not valid: %s", sentence(e.Detail))
	case e.Field == "name" && e.Object == directory.AssignmentObject:
		return refuse(http.StatusBadRequest, "InvalidRoleAssignmentId", "The role assignment ID '%s' is not valid. The role assignment ID must be a GUID.", clip(c.args["assignment"]))
	case e.Field == "name":
		return refuse(http.StatusBadRequest, "InvalidResourceName", "The name of the %s is not valid: %s", e.Object, sentence(e.Detail))
	}
	return badRequest("The property '%s' of the %s is not valid: %s", e.Field, e.Object, sentence(ruleOf(e)))
}

// ruleOf says in words which rule was broken.
func ruleOf(e *directory.Error) string {
	if v, ok := errors.AsType[*credential.Violation](e); ok {
		return v.Error()
	}
	return e.Detail
}

// clip bounds what a message repeats of a request.
func clip(s string) string {
	const most = 200
	if s = strings.ToValidUTF8(s, "\ufffd"); utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// sentence makes a sentence of words that begin in lower case; of none, none.
func sentence(s string) string {
	if s = clip(s); s == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(s[size:], ".") + "."
}
