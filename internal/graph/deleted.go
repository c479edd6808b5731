package graph

import "github.com/entente-id/entente/internal/directory"

// listDeleted lists the applications that can be restored
// (https://learn.microsoft.com/graph/api/directory-deleteditems-list).
func (c *call) listDeleted() (answer, error) {
	f, err := c.filter(applicationFilters)
	return listOf(c, applicationSet, applicationNames, c.showApplication, func(p directory.Page) (directory.Paged[directory.Application], error) {
		return c.Directory.DeletedApplications(c, c.caller, f, p)
	}, err)
}

func (c *call) listDeletedPrincipals() (answer, error) {
	f, err := c.principalFilter()
	return listOf(c, principalSet, c.principalNames(), c.showPrincipal, func(p directory.Page) (directory.Paged[directory.ServicePrincipal], error) {
		return c.Directory.DeletedServicePrincipals(c, c.caller, f, p)
	}, err)
}

func (c *call) getDeleted() (answer, error) {
	id := c.keys[deletedItem].text
	filter, one := directory.Filter{ID: &id}, directory.Page{Limit: 1}
	apps, err := c.Directory.DeletedApplications(c, c.caller, filter, one)
	if err != nil {
		return answer{}, err
	}
	if len(apps.Items) > 0 {
		return c.one(directoryObjectSet, typedApplication(c.showApplication(apps.Items[0])), nil)
	}
	principals, err := c.Directory.DeletedServicePrincipals(c, c.caller, filter, one)
	if err == nil && len(principals.Items) == 0 {
		err = &directory.Error{Kind: directory.NotFound, Object: directory.ApplicationObject, ID: id}
	}
	if err != nil {
		return answer{}, err
	}
	return c.one(directoryObjectSet, typedPrincipal(c.showPrincipal(principals.Items[0])), nil)
}

// restoreDeleted takes a body that asks for nothing here, and does not read it.
func (c *call) restoreDeleted() (answer, error) {
	id := c.keys[deletedItem].text
	a, err := c.Directory.RestoreApplication(c, c.caller, id)
	if !is(err, directory.NotFound, directory.ApplicationObject) {
		return c.one(directoryObjectSet, typedApplication(c.showApplication(a)), err)
	}
	p, err := c.Directory.RestoreServicePrincipal(c, c.caller, id)
	return c.one(directoryObjectSet, typedPrincipal(c.showPrincipal(p)), err)
}

func (c *call) purgeDeleted() (answer, error) {
	id := c.keys[deletedItem].text
	err := c.Directory.PurgeApplication(c, c.caller, id)
	if is(err, directory.NotFound, directory.ApplicationObject) {
		err = c.Directory.PurgeServicePrincipal(c, c.caller, id)
	}
	return noContent(err)
}

const directoryObjectSet = "directoryObjects"
