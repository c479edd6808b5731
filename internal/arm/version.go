package arm

import (
	"net/http"
	"regexp"
	"strings"
	"time"
)

// versions are those that Azure has documented for each provider, newest
// first; what an operation answers does not depend on them. Other dates are
// taken as well: clients move to the next version before we know of it.
var versions = map[string][]string{
	resources: {"2025-04-01", "2024-11-01", "2024-07-01", "2024-03-01", "2023-07-01", "2022-12-01", "2022-09-01", "2022-01-01", "2021-04-01", "2021-01-01", "2020-10-01",
		"2020-06-01", "2020-01-01", "2019-11-01", "2019-10-01", "2019-06-01", "2019-05-01", "2018-05-01", "2016-06-01", "2016-02-01", "2015-11-01", "2015-01-01"},
	managedIdentity: {"2026-05-31", "2026-04-30", "2025-05-31-preview", "2025-01-31-preview", "2024-11-30", "2023-01-31", "2022-01-31-preview", "2021-09-30-preview", "2018-11-30", "2015-08-31-preview"},
	authorization:   {"2022-05-01-preview", "2022-04-01", "2020-10-01-preview", "2020-04-01-preview", "2018-07-01", "2018-01-01-preview", "2015-07-01"},
	containerService: {"2025-05-01", "2025-01-01", "2024-09-01", "2024-05-01", "2024-01-01", "2023-11-01", "2023-08-01", "2023-05-01", "2023-02-01", "2022-11-01", "2022-09-01", "2022-07-01", "2022-04-01",
		"2022-01-01", "2021-10-01", "2021-05-01", "2021-03-01", "2020-09-01", "2020-04-01", "2020-01-01", "2019-11-01"},
	federation: {"2026-11-01"},
	metadata:   {"2022-09-01", "2020-06-01", "2019-05-01", "2015-01-01", "1.0"},
}

// metadata stands for the provider of /metadata/endpoints, which has none.
const metadata = ""

var versionForm = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}(-[a-z]+)?$`)

// checkVersion reads the api-version of a query.
func checkVersion(query map[string]string, provider string) (string, error) {
	version, known := query["api-version"], versions[provider]
	if version == "" {
		return "", refuse(http.StatusBadRequest, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests.")
	}
	for _, v := range known {
		if strings.EqualFold(v, version) {
			return v, nil
		}
	}
	if v := strings.ToLower(version); len(v) <= 32 && versionForm.MatchString(v) {
		if _, err := time.Parse(time.DateOnly, v[:len(time.DateOnly)]); err == nil {
			return v, nil
		}
	}
	return "", refuse(http.StatusBadRequest, "InvalidApiVersionParameter", "The api-version '%s' is invalid. The supported versions are '%s'.", clip(version), strings.Join(known, ","))
}
