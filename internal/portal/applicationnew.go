package portal

import (
	"net/http"

	"github.com/entente-id/entente/internal/directory"
)

type newApplicationView struct {
	Errors    []string
	Name      field
	Principal bool
	Same      []link // applications of the same name
	Back      string
}

func (c *call) newApplication() error {
	if !c.mayCreateApplications() {
		return &directory.Error{Kind: directory.Forbidden, Object: directory.ApplicationObject, Action: "microsoft.directory/applications/create"}
	}
	return c.showNewApplication(http.StatusOK, newApplicationView{Principal: true})
}

func (c *call) showNewApplication(status int, v newApplicationView) error {
	v.Name = field{Name: "name", Label: "Name", Value: c.field("name"), Hint: "People see it in lists and logs. It can be changed later.", Error: v.Name.Error, Max: 256, Required: true}
	v.Back = applicationsPath
	return c.show(page{template: "application-new", title: "Register an application", status: status, trail: []crumb{{"App registrations", applicationsPath}}}, v)
}

func (c *call) createApplication() error {
	v, name := newApplicationView{Principal: c.field("principal") != ""}, c.field("name")
	if name == "" {
		v.Errors, v.Name.Error = []string{"Nothing was made. See the marked field."}, "Give it a name."
		return c.showNewApplication(http.StatusUnprocessableEntity, v)
	}
	if c.field("same") == "" {
		same, err := c.Directory.Applications(c, c.caller, directory.Filter{DisplayName: &name}, directory.Page{Limit: 5})
		if err != nil {
			return err
		}
		for _, app := range same.Items {
			v.Same = append(v.Same, link{Text: app.AppID, To: applicationPath(app.ID)})
		}
		if len(v.Same) > 0 {
			v.Errors = []string{"Nothing was made: an application of this name is there already."}
			return c.showNewApplication(http.StatusConflict, v)
		}
	}
	app, err := c.Directory.CreateApplication(c, c.caller, directory.Application{DisplayName: name})
	if refused, ok := refused(err); ok {
		v.Errors, v.Name.Error = []string{refused.text}, refused.at("displayName")
		return c.showNewApplication(refused.status, v)
	}
	if err != nil {
		return err
	}
	what := "created"
	if v.Principal {
		if _, err := c.Directory.CreateServicePrincipal(c, c.caller, directory.NewPrincipal{AppID: app.AppID}); err != nil {
			c.Log.ErrorContext(c, "make the service principal of a new application", "error", err, "application", app.ID, "request", c.RequestID(c))
			what = "alone"
		}
	}
	return c.redirect(done(applicationPath(app.ID), what))
}
