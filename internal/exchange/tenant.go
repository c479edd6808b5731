package exchange

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/entente-id/entente/internal/directory"
)

// domain is the form of a DNS name with at least one dot (RFC 1123 section 2.1).
var domain = regexp.MustCompile(`^(?i:[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+(?i:[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$`)

const longestDomain = 253

// checkTenant refuses what cannot be looked up.
func checkTenant(ref string) error {
	switch {
	case ref == "" || len(ref) > longestDomain || !utf8.ValidString(ref) || strings.ContainsRune(ref, 0):
		return &Error{Reason: TenantMalformed, Tenant: ref}
	case directory.IsID(ref) && strings.Trim(ref, "0-") == "":
		return &Error{Reason: TenantEmpty, Tenant: ref}
	}
	return nil
}

// missingTenant says why a tenant was not found.
func missingTenant(ref string) *Error {
	if directory.IsID(ref) || domain.MatchString(ref) {
		return &Error{Reason: TenantNotFound, Tenant: ref}
	}
	return &Error{Reason: TenantMalformed, Tenant: ref}
}

// Tenant finds a tenant by its id or domain, and refuses it as Do does.
func (x *Exchange) Tenant(ctx context.Context, ref string) (directory.Tenant, error) {
	if err := checkTenant(ref); err != nil {
		return directory.Tenant{}, err
	}
	t, err := x.Directory.LookupTenant(ctx, ref)
	if e, ok := errors.AsType[*directory.Error](err); ok && e.Kind == directory.NotFound {
		return directory.Tenant{}, missingTenant(ref)
	}
	if err != nil {
		return directory.Tenant{}, fmt.Errorf("look up tenant: %w", err)
	}
	return t, nil
}
