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

func (c *call) getDeleted() (answer, error) {
	id := c.keys[deletedItem].text
	found, err := c.Directory.DeletedApplications(c, c.caller, directory.Filter{ID: &id}, directory.Page{Limit: 1})
	if err == nil && len(found.Items) == 0 {
		err = &directory.Error{Kind: directory.NotFound, Object: directory.ApplicationObject, ID: id}
	}
	if err != nil {
		return answer{}, err
	}
	return c.one(directoryObjectSet, typedApplication(c.showApplication(found.Items[0])), nil)
}

// restoreDeleted takes a body that asks for nothing here, and does not read it.
func (c *call) restoreDeleted() (answer, error) {
	a, err := c.Directory.RestoreApplication(c, c.caller, c.keys[deletedItem].text)
	return c.one(directoryObjectSet, typedApplication(c.showApplication(a)), err)
}

func (c *call) purgeDeleted() (answer, error) {
	return noContent(c.Directory.PurgeApplication(c, c.caller, c.keys[deletedItem].text))
}

const directoryObjectSet = "directoryObjects"
