package client

import "context"

// DeletedApplications lists the applications that were deleted and can still be
// restored (https://learn.microsoft.com/graph/api/directory-deleteditems-list). A
// filter is OData, such as what [Equal] writes; an empty one selects all.
func (c *Client) DeletedApplications(ctx context.Context, filter string) ([]Application, error) {
	return list[Application](ctx, c, c.graph, at("/v1.0/directory/deletedItems/microsoft.graph.application").param("$filter", filter))
}
