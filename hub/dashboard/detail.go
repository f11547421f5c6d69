package dashboard

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/wire"
)

// shownObjects is how many objects of one app on one cluster a page shows. The API
// gives all of them.
const shownObjects = 100

// detail is one cell with its objects, as the pages of a cluster and of an app
// show it.
type detail struct {
	view.Cell
	frame   frame
	ID      string // of the element
	Label   string // what tells it from the others on the page
	Link    string
	Silent  bool // its cluster is silent, or has no agent yet
	Objects []wire.ObjectReport
	Hidden  int // objects that are not shown
	Sums    []objectSum
	Open    bool
}

// Ago gives a time as seen from when the page was made.
func (d detail) Ago(t time.Time) moment { return d.frame.Ago(t) }

// objectSum counts the objects of one health.
type objectSum struct {
	mark
	Count int
}

// detailOf shows the objects that are not well first.
func detailOf(cell view.Cell, f frame) detail {
	d := detail{Cell: cell, frame: f, Silent: cell.Health == view.NotHeard}
	d.Objects = slices.Clone(cell.Objects())
	slices.SortStableFunc(d.Objects, func(a, b wire.ObjectReport) int { return cmp.Compare(urgency(a.Health), urgency(b.Health)) })
	for _, o := range d.Objects {
		if n := len(d.Sums); n == 0 || d.Sums[n-1].Word != string(o.Health) {
			d.Sums = append(d.Sums, objectSum{mark: markOfObject(o.Health)})
		}
		d.Sums[len(d.Sums)-1].Count++
	}
	if len(d.Objects) > shownObjects {
		d.Hidden = len(d.Objects) - shownObjects
		d.Objects = d.Objects[:shownObjects]
	}
	return d
}

// urgency orders the words of kstatus, the most urgent first.
func urgency(h wire.Health) int {
	return slices.Index([]wire.Health{wire.Failed, wire.NotFound, wire.InProgress, wire.Terminating, wire.Unknown, wire.Current}, h)
}

// clusterPage is the page of one cluster.
type clusterPage struct {
	frame
	*view.Cluster
	Labels []string
	Taints []string
	Phases []phase
	Cells  []detail
}

// Managed tells whether Git, or what was announced, names the cluster.
func (p clusterPage) Managed() bool { return p.InGit || p.Told }

// supply is one quantity that a cluster has, and what is asked and taken of it. What
// is not known is empty.
type supply struct {
	Name, Capacity, Allocatable, Requested, Used string
}

var resourceWords = map[string]string{"cpu": "CPU", "memory": "Memory", "pods": "Room for pods"}

// Resources returns what the agent says that the cluster has.
func (p clusterPage) Resources() []supply {
	var all []supply
	facts := p.Heartbeat.Facts
	for _, key := range []string{"cpu", "memory", "pods"} {
		if capacity := facts.Capacity[key]; capacity != "" {
			all = append(all, supply{resourceWords[key], capacity, facts.Allocatable[key], facts.Requested[key], facts.Used[key]})
		}
	}
	return all
}

// phase counts the pods in one phase.
type phase struct {
	Name  string
	Count int
}

func (d *Dashboard) serveCluster(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	f := d.frame(r, name)
	c, ok := f.Snapshot.Cluster(fleet.ClusterName(name))
	if !ok {
		d.serveMessage(w, r, http.StatusNotFound, "No such cluster",
			fmt.Sprintf("Git names no cluster %q, and no agent of that name has been heard.", name))
		return
	}
	d.render(w, http.StatusOK, "cluster.html", clusterOf(c, f))
}

func clusterOf(c *view.Cluster, f frame) clusterPage {
	page := clusterPage{frame: f, Cluster: c}
	for key, value := range c.Labels {
		page.Labels = append(page.Labels, key+"="+value)
	}
	slices.Sort(page.Labels)
	for _, taint := range c.Taints {
		text := taint.Key
		if taint.Value != "" {
			text += "=" + taint.Value
		}
		page.Taints = append(page.Taints, text+":"+taint.Effect)
	}
	for name, count := range c.Heartbeat.Facts.Pods {
		page.Phases = append(page.Phases, phase{name, count})
	}
	slices.SortFunc(page.Phases, func(a, b phase) int { return cmp.Or(b.Count-a.Count, cmp.Compare(a.Name, b.Name)) })
	for _, cell := range c.Cells {
		shown := detailOf(cell, f)
		shown.ID, shown.Label, shown.Link = "app-"+string(cell.App), string(cell.App), "/apps/"+string(cell.App)
		shown.Open = opens(cell, len(c.Cells))
		page.Cells = append(page.Cells, shown)
	}
	return page
}

// opens tells whether a person should see the objects without asking: where
// something is going on, and where there is little else to see.
func opens(cell view.Cell, cells int) bool {
	return cell.Health == view.Failed || cell.Health == view.Progressing || cells <= 4
}

// appPage is the page of one app.
type appPage struct {
	frame
	*view.App
	Health view.Health
	Bar    bar
	Sums   []objectSum // clusters by health
	Query  query
	Chips  []chip
	Cells  []detail
	Pager  pager
	Groups int // distinct contents over its clusters
}

// The sizes of an app's page.
const (
	pageCells = 25
	mostCells = 100
)

func (d *Dashboard) serveApp(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	f := d.frame(r, name)
	app, ok := f.Snapshot.App(fleet.AppName(name))
	if !ok {
		d.serveMessage(w, r, http.StatusNotFound, "No such app",
			fmt.Sprintf("Git names no app %q, and no agent reports one.", name))
		return
	}
	q, err := parseQuery(r.URL.Query(), pageCells, mostCells)
	if err != nil {
		d.serveMessage(w, r, http.StatusBadRequest, "That address makes no sense", err.Error())
		return
	}
	d.render(w, http.StatusOK, "app.html", appOf(app, f, q, r.URL.Query()))
}

// appOf shows the clusters where something is wrong first.
func appOf(app *view.App, f frame, q query, values url.Values) appPage {
	page := appPage{frame: f, App: app, Health: app.Counts.Worst(), Bar: barOf(app.Counts), Query: q}
	contents := map[string]bool{}
	for _, cell := range f.Snapshot.Cells(app.Name) {
		if cell.Desired.Overlay != "" {
			contents[string(cell.Desired.Overlay+cell.Desired.Base)] = true
		}
	}
	page.Groups = len(contents)
	q.App = app.Name
	var cells []view.Cell
	for _, c := range f.Snapshot.Select(q.Filter) {
		if cell, ok := c.Cell(app.Name); ok {
			cells = append(cells, cell)
		}
	}
	slices.SortStableFunc(cells, func(a, b view.Cell) int { return cmp.Compare(b.Health, a.Health) })
	page.Pager = pagerOf(len(cells), q.Page, q.Size, "page", values)
	for _, cell := range cut(cells, page.Pager) {
		shown := detailOf(cell, f)
		shown.ID, shown.Label, shown.Link = "cluster-"+string(cell.Cluster), string(cell.Cluster), "/clusters/"+string(cell.Cluster)
		shown.Open = opens(cell, len(cells))
		page.Cells = append(page.Cells, shown)
	}
	for _, c := range chipsOf(f.Snapshot, q) {
		values := url.Values{}
		if q.Text != "" {
			values.Set("q", q.Text)
		}
		if c.Class != "" {
			values.Set("health", c.Class)
		}
		c.Link = "/apps/" + string(app.Name) + "?" + values.Encode()
		page.Chips = append(page.Chips, c)
	}
	return page
}

// messagePage says one thing.
type messagePage struct {
	frame
	Message string
}

func (d *Dashboard) serveNotFound(w http.ResponseWriter, r *http.Request) {
	d.serveMessage(w, r, http.StatusNotFound, "No such page", fmt.Sprintf("There is nothing at %q.", r.URL.Path))
}

func (d *Dashboard) serveMessage(w http.ResponseWriter, r *http.Request, status int, title, message string) {
	page := messagePage{frame: d.frame(r, title), Message: message}
	page.Still = r.Method == http.MethodPost
	d.render(w, status, "message.html", page)
}
