package portal

var homePages = []route{{"GET " + Path + "/{$}", (*call).home, false}, {"GET " + Path, (*call).home, false}}

type homeView struct{}

func (c *call) home() error {
	return c.show(page{template: "home", title: "Home"}, homeView{})
}
