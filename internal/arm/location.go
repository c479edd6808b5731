package arm

import "strings"

type location struct {
	ID                  string           `json:"id"`
	Name                string           `json:"name"`
	Type                string           `json:"type"`
	DisplayName         string           `json:"displayName"`
	RegionalDisplayName string           `json:"regionalDisplayName"`
	Metadata            locationMetadata `json:"metadata"`
}

type locationMetadata struct {
	RegionType     string `json:"regionType"`
	RegionCategory string `json:"regionCategory"`
	GeographyGroup string `json:"geographyGroup,omitempty"`
}

// regions are the names under which Azure's clients look for a place, and
// "local", which is where this server is. Nothing depends on them, so any other
// name is taken as well.
var regions = []struct{ display, group string }{
	{"Local", ""},
	{"East US", "US"}, {"East US 2", "US"}, {"Central US", "US"}, {"West US", "US"}, {"West US 2", "US"}, {"West US 3", "US"},
	{"Canada Central", "Canada"}, {"Brazil South", "South America"},
	{"North Europe", "Europe"}, {"West Europe", "Europe"}, {"UK South", "Europe"}, {"France Central", "Europe"}, {"Germany West Central", "Europe"},
	{"Switzerland North", "Europe"}, {"Sweden Central", "Europe"}, {"Norway East", "Europe"}, {"Poland Central", "Europe"}, {"Italy North", "Europe"},
	{"UAE North", "Middle East"}, {"South Africa North", "Africa"}, {"Central India", "Asia Pacific"}, {"Southeast Asia", "Asia Pacific"},
	{"East Asia", "Asia Pacific"}, {"Japan East", "Asia Pacific"}, {"Korea Central", "Asia Pacific"}, {"Australia East", "Asia Pacific"},
}

// place is a location's name: "West Europe" is "westeurope".
func place(name string) string { return strings.ToLower(strings.ReplaceAll(name, " ", "")) }

func (s *Surface) listLocations(c *call) (*answer, error) {
	all := make([]location, len(regions))
	for i, r := range regions {
		regional := r.display
		if r.group != "" {
			regional = "(" + r.group + ") " + r.display
		}
		name := place(r.display)
		all[i] = location{ID: c.subscription.Scope() + "/locations/" + name, Name: name, Type: "Region", DisplayName: r.display, RegionalDisplayName: regional,
			Metadata: locationMetadata{RegionType: "Physical", RegionCategory: "Recommended", GeographyGroup: r.group}}
	}
	return whole(all), nil
}
