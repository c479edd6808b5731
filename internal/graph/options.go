package graph

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

// option is a set of OData query options.
type option int

const (
	selectOption option = 1 << iota
	filterOption
	topOption
	skiptokenOption
	countOption
	orderbyOption
	searchOption

	noOptions     option = 0
	listOptions          = selectOption | filterOption | topOption | skiptokenOption | countOption | orderbyOption
	searchOptions        = listOptions | searchOption
)

// options are the query options of a request, read.
type options struct {
	given     url.Values // as they came, for the link to the next page
	filter    string
	search    string
	selected  []string
	top       int // 0: not given
	skiptoken string
	count     bool
}

const longestQuery = 16 << 10

// parseOptions reads a query. An option that the route does not take is
// refused, since its result would be another one than was asked for. What does
// not begin with $ is no option of OData and is passed over.
func parseOptions(raw string, taken option) (options, error) {
	if len(raw) > longestQuery {
		return options{}, badRequest("The query string is too long.")
	}
	given, err := url.ParseQuery(raw)
	if err != nil {
		return options{}, badRequest("The query string cannot be read.")
	}
	o := options{given: given}
	for name, values := range given {
		if !strings.HasPrefix(name, "$") {
			continue
		}
		if len(values) != 1 {
			return options{}, badRequest("Query option '%s' was specified more than once, but it must be specified at most once.", name)
		}
		if !clean(values[0]) {
			return options{}, badRequest("The value of the query option '%s' cannot be read.", name)
		}
		if err := o.set(name, values[0], taken); err != nil {
			return options{}, err
		}
	}
	return o, nil
}

func (o *options) set(name, value string, taken option) error {
	flags := map[string]option{"$select": selectOption, "$filter": filterOption, "$top": topOption, "$skiptoken": skiptokenOption, "$count": countOption, "$orderby": orderbyOption, "$search": searchOption}
	if name == "$format" {
		return nil // JSON is all there is
	}
	if flags[name]&taken == 0 {
		return unsupported("The query option '%s' is not supported for this resource.", name)
	}
	switch name {
	case "$filter":
		o.filter = value
	case "$search":
		o.search = value
	case "$skiptoken":
		o.skiptoken = value
	case "$count":
		o.count = strings.EqualFold(value, "true")
		if !o.count && !strings.EqualFold(value, "false") {
			return badRequest("Invalid value '%s' for $count query option found. Valid values are 'true' and 'false'.", value)
		}
	case "$orderby":
		if !slices.Contains([]string{"displayname", "displayname asc"}, strings.ToLower(value)) {
			return unsupported("Lists are sorted by displayName; the sort order '%s' is not supported.", value)
		}
	case "$select":
		for _, name := range strings.Split(value, ",") {
			if name = strings.TrimSpace(name); name != "" && name != "*" && !slices.Contains(o.selected, name) {
				o.selected = append(o.selected, name)
			}
		}
	case "$top":
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return badRequest("Invalid value '%s' for $top query option found. The $top query option requires a non-negative integer value.", value)
		}
		if n < 1 || n > directory.MaxPage {
			return unsupported("Invalid page size specified: '%d'. Must be between 1 and %d inclusive.", n, directory.MaxPage)
		}
		o.top = int(n)
	}
	return nil
}

// selects says whether a member was asked for by its name.
func (o options) selects(name string) bool {
	return slices.ContainsFunc(o.selected, func(s string) bool { return strings.EqualFold(s, name) })
}

// projection is how a context says which members were selected.
func (c *call) projection() string { return "(" + strings.Join(c.options.selected, ",") + ")" }
