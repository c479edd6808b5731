package arm

import (
	"context"
	"testing"
)

func contextWithCancel(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(context.WithoutCancel(t.Context()))
}

func TestMetadata(t *testing.T) {
	w := newWorld(t)
	const (
		audiences = `["https://management.core.windows.net/","https://management.azure.com/"]`
		legacy    = `{"galleryEndpoint":"*","graphEndpoint":"` + testBase + `/","portalEndpoint":"*","authentication":{"loginEndpoint":"` + testBase + `/adfs","audiences":` + audiences + `}}`
	)
	described := func(login string) string {
		return `{"name":"Entente","portal":"*","authentication":{"loginEndpoint":"` + login + `","audiences":` + audiences + `,"tenant":"common","identityProvider":"AAD"},"resourceManager":"` + testBase + `","microsoftGraphResourceId":"` + testBase + `/","graphAudience":"` + testBase + `/","graph":"*","gallery":"*","batch":"*","media":"*","sqlManagement":"*","vmImageAliasDoc":"*","activeDirectoryDataLake":"*","suffixes":{"storage":"core.windows.net","keyVaultDns":"*"}}`
	}
	for _, tt := range []struct{ path, want string }{
		{"/metadata/endpoints?api-version=2015-01-01", legacy},
		{"//metadata/endpoints?api-version=2015-01-01", legacy},
		{"/metadata/endpoints?api-version=1.0", legacy},
		{"/metadata/endpoints?api-version=2019-05-01", "[" + described(testBase+"/adfs") + "]"},
		{"/metadata/endpoints?api-version=2020-06-01", "[" + described(testBase+"/adfs") + "]"},
		{"/metadata/endpoints?api-version=2022-09-01", described(testBase)},
		{"/metadata/endpoints?api-version=2023-12-01", described(testBase)},
	} {
		r := w.do("", "GET", tt.path, "")
		if r.status != 200 {
			t.Errorf("%s: %d %s", tt.path, r.status, r.text)
			continue
		}
		if err := compare(tt.want, r.text); err != nil {
			t.Errorf("%s: %v\n%s", tt.path, err, r.text)
		}
	}
	if r := w.do("", "GET", "/metadata/endpoints?api-version=", ""); r.status != 400 || r.error(t).Code != "MissingApiVersionParameter" {
		t.Errorf("without a version: %d %s", r.status, r.text)
	}
	// az overwrites the login endpoint of a cloud that is called AzureCloud.
	if r := newWorld(t, func(c *Config) { c.CloudName = "Ours" }).do("", "GET", "/metadata/endpoints?api-version=2022-09-01", ""); compare(`"Ours"`, nameOf(t, r)) != nil {
		t.Errorf("got %s", r.text)
	}
}
