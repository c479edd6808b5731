package graph

import (
	"github.com/entente-id/entente/internal/directory"
)

// getMe: who calls is never a person here.
func (c *call) getMe() (answer, error) { return answer{}, errNotDelegated }

// organizationObject is a tenant (https://learn.microsoft.com/graph/api/resources/organization).
func organizationObject(t directory.Tenant) object {
	return object{
		{"id", t.ID},
		{"deletedDateTime", nil},
		{"businessPhones", []string{}},
		{"city", nil},
		{"country", nil},
		{"countryLetterCode", nil},
		{"createdDateTime", readAt(t.CreatedAt)},
		{"defaultUsageLocation", nil},
		{"displayName", t.DisplayName},
		{"isMultipleDataLocationsForServicesEnabled", nil},
		{"marketingNotificationEmails", []string{}},
		{"onPremisesLastSyncDateTime", nil},
		{"onPremisesSyncEnabled", nil},
		{"partnerTenantType", nil},
		{"postalCode", nil},
		{"preferredLanguage", nil},
		{"securityComplianceNotificationMails", []string{}},
		{"securityComplianceNotificationPhones", []string{}},
		{"state", nil},
		{"street", nil},
		{"technicalNotificationMails", []string{}},
		{"tenantType", "AAD"},
		{"privacyProfile", nil},
		{"assignedPlans", []object{}},
		{"provisionedPlans", []object{}},
		{"verifiedDomains", []object{{
			{"capabilities", ""}, {"isDefault", true}, {"isInitial", true}, {"name", t.Domain}, {"type", "Managed"},
		}}},
	}
}

var organizationNames = organizationObject(directory.Tenant{}).names()

// listOrganizations lists the caller's own tenant, which is the only one that it is in.
func (c *call) listOrganizations() (answer, error) {
	if clauses, err := c.clauses(); err != nil || len(clauses) > 0 {
		return answer{}, unsupported("A filter is not supported for this resource.")
	}
	return listOf(c, "organization", organizationNames, organizationObject, func(directory.Page) (directory.Paged[directory.Tenant], error) {
		return directory.Paged[directory.Tenant]{Items: []directory.Tenant{c.tenant}, Total: 1}, nil
	}, nil)
}
