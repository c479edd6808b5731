package client

import "testing"

func TestDeletedApplications(t *testing.T) {
	s := serve(t, step{
		request: "GET /v1.0/directory/deletedItems/microsoft.graph.application?$filter=appId%20eq%20%27a%27",
		answer:  `{"value":[{"id":"o","appId":"a","displayName":"cat"}]}`,
	})
	c, _ := s.client()
	got, err := c.DeletedApplications(t.Context(), Equal("appId", "a"))
	if err != nil || len(got) != 1 || got[0].ID != "o" || got[0].AppID != "a" {
		t.Errorf("%+v, %v", got, err)
	}
}
