package cli

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/entente-id/entente/client"
)

// absent is an error about an object that is not there, in words that say which and
// where. It is a [client.ErrNotFound], without its words.
type absent struct{ text string }

func notThere(format string, args ...any) error { return &absent{fmt.Sprintf(format, args...)} }

func (a *absent) Error() string { return a.text }

func (a *absent) Is(target error) bool { return target == client.ErrNotFound }

// inGroup puts Resource Manager's 404 about an object of a resource group into words:
// the object is not there, or its group, or its subscription. Other errors stay.
func inGroup(err error, kind, name string, in client.ResourceGroupID) error {
	e, ok := errors.AsType[*client.Error](err)
	if !ok || e.Status != http.StatusNotFound {
		return err
	}
	where := fmt.Sprintf("the resource group %q of the subscription %s", in.Name, in.SubscriptionID)
	switch e.Code {
	case "SubscriptionNotFound":
		return hint(notThere("there is no subscription %s, or none that the caller sees", in.SubscriptionID), "--subscription ID chooses one; entente whoami shows where the caller has roles")
	case "ResourceGroupNotFound":
		return notThere("there is no %s %q: there is not even %s", kind, name, where)
	}
	return notThere("there is no %s %q in %s", kind, name, where)
}

// list gives an error about a thing that is not there the command that lists those
// which are: one of ours, or in Azure one of az.
func (s *session) list(err error, ours, azure string) error {
	if hintOf(err) != "" || !errors.Is(err, client.ErrNotFound) {
		return err
	}
	if s.azure {
		return hint(err, "%s shows those that there are", azure)
	}
	return hint(err, "%s shows those that there are", ours)
}

// needs is what a caller lacks who was answered with 403. Resource Manager names the
// action. Graph does not, but it documents the permissions that each request needs
// (https://learn.microsoft.com/graph/permissions-reference).
func (c caller) needs(e *client.Error) string {
	object, graph := strings.CutPrefix(e.Path, "/v1.0/")
	switch {
	case !graph:
		return fmt.Sprintf("%s needs a role with the action that the message names", c)
	case e.Method == http.MethodGet:
		return fmt.Sprintf("%s needs the permission Application.Read.All of Microsoft Graph", c)
	case strings.Contains(object, "/appRoleAssign"):
		return fmt.Sprintf("%s needs the permission AppRoleAssignment.ReadWrite.All of Microsoft Graph", c)
	}
	return fmt.Sprintf("%s needs a permission of Microsoft Graph: Application.ReadWrite.OwnedBy for applications that it owns, Application.ReadWrite.All for any", c)
}
