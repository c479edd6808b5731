package graph

import (
	"fmt"
	"sync"
	"testing"
)

const createIfMissing = "Prefer: create-if-missing"

func TestUpsert(t *testing.T) { onEngines(t, testUpsert) }

func testUpsert(t *testing.T, w *world) {
	// An application by its unique name.
	path := "/applications(uniqueName='my-app')"
	w.do(admin, "PATCH", path, m{"displayName": "x"}).is(404)
	w.do(reader, "PATCH", path, m{"displayName": "x"}, createIfMissing).is(403)
	w.do(nobody, "PATCH", path, m{"displayName": "x"}, createIfMissing).is(403)
	w.do(admin, "PATCH", path, m{"notes": "x"}, createIfMissing).fails(400, "Request_BadRequest", "A value is required for property 'displayName' of resource 'Application'.")
	w.do(admin, "PATCH", path, m{"displayName": "x", "uniqueName": "y"}, createIfMissing).fails(400, "Request_BadRequest", "The uniqueName of the body is not the one of the request URI.")
	w.do(admin, "PATCH", "/applications(uniqueName='')", m{"displayName": "x"}, createIfMissing).is(400)
	made := w.do(admin, "PATCH", path, m{"displayName": "x"}, "Prefer: return=representation, Create-If-Missing").is(201)
	if made.str("uniqueName") != "my-app" || made.header.Get("Location") == "" {
		t.Errorf("made: %s", made.text)
	}
	w.do(admin, "PATCH", path, m{"displayName": "x2"}, createIfMissing).is(204)
	if got := w.do(admin, "GET", path, nil).is(200); got.str("displayName") != "x2" || got.str("id") != made.str("id") {
		t.Errorf("after the second: %s", got.text)
	}
	w.do(admin, "PATCH", "/applications/"+nowhere, m{"displayName": "x"}, createIfMissing).is(404)
	w.do(admin, "PATCH", "/applications(appId='"+nowhere+"')", m{"displayName": "x"}, createIfMissing).is(404)

	// A service principal by its appId.
	path = "/servicePrincipals(appId='" + made.str("appId") + "')"
	w.do(admin, "PATCH", path, m{"tags": []string{"t"}}).is(404)
	w.do(admin, "PATCH", path, m{"tags": []string{"t"}}, createIfMissing).is(201)
	w.do(admin, "PATCH", path, m{"appId": made.str("appId"), "accountEnabled": false}, createIfMissing).is(204)
	w.do(admin, "PATCH", "/servicePrincipals(appId='"+nowhere+"')", m{}, createIfMissing).
		fails(400, "Request_BadRequest", "The appId '"+nowhere+"' of the service principal does not reference a valid application object.")

	// A credential by its name.
	path = "/applications(uniqueName='my-app')/federatedIdentityCredentials"
	body := trust("one")
	delete(body, "name")
	w.do(admin, "PATCH", path+"(name='one')", body).is(404)
	w.do(admin, "PATCH", path+"/one", body, createIfMissing).is(404) // a bare segment may be an id
	w.do(admin, "PATCH", path+"(name='one')", m{"description": "x"}, createIfMissing).is(400)
	w.do(admin, "PATCH", path+"(name='o n e')", body, createIfMissing).is(400)
	w.do(other, "PATCH", path+"(name='one')", body, createIfMissing).is(403)
	made = w.do(admin, "PATCH", path+"(name='one')", body, createIfMissing).is(201)
	if made.str("name") != "one" || made.str("@odata.context") != base+"/v1.0/$metadata#applications('my-app')/federatedIdentityCredentials/$entity" {
		t.Errorf("made: %s", made.text)
	}
	w.do(admin, "PATCH", path+"(name='one')", m{"name": "one", "subject": "s2"}, createIfMissing).is(204)
	w.do(admin, "PATCH", path+"(name='one')", m{"name": "two"}, createIfMissing).is(400)
	if got := w.do(admin, "GET", path+"/"+made.str("id"), nil).is(200); got.str("subject") != "s2" {
		t.Errorf("after the second: %s", got.text)
	}
}

// TestUpsertRaces: of many who make the same thing at once, one makes it and the others change it.
func TestUpsertRaces(t *testing.T) { onEngines(t, testUpsertRaces) }

func testUpsertRaces(t *testing.T, w *world) {
	_, appID := w.application(admin, "app")
	for path, body := range map[string]func(int) m{
		"/applications(uniqueName='one')":           func(i int) m { return m{"displayName": fmt.Sprint(i)} },
		"/servicePrincipals(appId='" + appID + "')": func(i int) m { return m{"tags": []string{fmt.Sprint(i)}} },
	} {
		var group sync.WaitGroup
		statuses := make([]int, 10)
		for i := range statuses {
			group.Go(func() { statuses[i] = w.do(admin, "PATCH", path, body(i), createIfMissing).status })
		}
		group.Wait()
		made := 0
		for _, status := range statuses {
			switch status {
			case 201:
				made++
			case 204:
			default:
				t.Errorf("%s: status %d", path, status)
			}
		}
		if made != 1 {
			t.Errorf("%s: %d were made", path, made)
		}
	}
}

// TestLimit: 50 at once, and exactly 20 succeed.
func TestLimit(t *testing.T) { onEngines(t, testLimit) }

func testLimit(t *testing.T, w *world) {
	id, _ := w.application(admin, "app")
	path := "/applications/" + id + "/federatedIdentityCredentials"
	var group sync.WaitGroup
	statuses := make([]int, 50)
	for i := range statuses {
		group.Go(func() { statuses[i] = w.do(admin, "POST", path, trust(fmt.Sprint("t", i))).status })
	}
	group.Wait()
	count := map[int]int{}
	for _, status := range statuses {
		count[status]++
	}
	if count[201] != 20 || count[400] != 30 {
		t.Errorf("statuses: %v", count)
	}
	w.do(admin, "POST", path, trust("one-more")).fails(400, "InvalidFederatedIdentityCredentialValue",
		"An application can have at most 20 federated identity credentials. Remove one that is no longer used, or raise the limit of the tenant.")
	if got := w.do(admin, "GET", path+"/$count", nil).is(200).text; got != "20" {
		t.Errorf("$count %s", got)
	}
	w.do(admin, "PATCH", path+"(name='one-more')", trust("one-more"), createIfMissing).is(400)
}
