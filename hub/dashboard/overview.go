package dashboard

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/view"
)

// The sizes of the overview.
const (
	pageClusters = 50  // rows of the matrix, unless the address asks for others
	mostClusters = 500 // rows that it may ask for
	wideApps     = 5   // columns that have room for words
	pageApps     = 30  // columns
	attentions   = 8   // lines of what needs attention
	manyClusters = 25  // from here on, regions are summed up
)

// overview is the page of the whole fleet.
type overview struct {
	frame
	Query     query
	Bars      bars
	Attention []attention
	More      int // attentions that are not shown
	Regions   []region
	Matrix    matrix
	Chips     []chip
	Waiting   []view.Member // for who looks to approve
}

// bars sums up the fleet by health.
type bars struct {
	Clusters, Cells bar
}

// attention is something that does not mend itself.
type attention struct {
	Health  view.Health
	Cluster fleet.ClusterName
	App     fleet.AppName // empty: the whole cluster
	Message string
	Since   moment
}

// region sums up the clusters of one region.
type region struct {
	Name     string
	Provider string
	Counts   view.Counts
	Bar      bar
}

// Total returns how many clusters the region has.
func (r region) Total() int { return r.Counts.Total() }

// Worst returns the worst segment of the region's bar, if that is not Ready.
func (r region) Worst() *segment {
	worst := &r.Bar[len(r.Bar)-1]
	if worst.Class == marks[view.Ready].Class {
		return nil
	}
	return worst
}

// Link is where the region's clusters are listed.
func (r region) Link() string {
	return "/?" + url.Values{"q": {strings.TrimSpace(r.Name + " " + r.Provider)}}.Encode() + "#clusters"
}

// chip is one health to filter by.
type chip struct {
	mark
	Count  int
	Active bool
	Link   string
}

// matrix is clusters by apps.
type matrix struct {
	Wide    bool // cells have room for words
	Apps    []*view.App
	Rows    []row
	Pager   pager
	Columns pager
}

type row struct {
	*view.Cluster
	Applied int         // apps that run what was announced
	Cells   []view.Cell // one for each app of the matrix; the zero cell where it is not placed
}

func (d *Dashboard) serveOverview(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.Query(), pageClusters, mostClusters)
	if err != nil {
		d.serveMessage(w, r, http.StatusBadRequest, "That address makes no sense", err.Error())
		return
	}
	d.render(w, http.StatusOK, "overview.html", overviewOf(d.frame(r, "Fleet"), q, r.URL.Query()))
}

func overviewOf(f frame, q query, values url.Values) overview {
	s := f.Snapshot
	page := overview{frame: f, Query: q, Waiting: waiting(f)}
	page.Bars = bars{Clusters: barOf(s.Counts.Clusters), Cells: barOf(s.Counts.Cells)}
	page.Attention, page.More = attentionsOf(s, page.frame)
	if len(s.Clusters) >= manyClusters {
		page.Regions = regionsOf(s.Clusters)
	}
	page.Matrix = matrixOf(s, q, values)
	page.Chips = chipsOf(s, q)
	return page
}

// attentionsOf lists what has failed or is held, and clusters that fell silent.
func attentionsOf(s *view.Snapshot, f frame) (shown []attention, more int) {
	note := func(a attention) {
		if len(shown) == attentions {
			more++
			return
		}
		shown = append(shown, a)
	}
	for _, health := range []view.Health{view.Failed, view.Held} {
		for _, c := range s.Clusters {
			if c.Health == health && c.Message != "" {
				note(attention{Health: health, Cluster: c.Name, Message: c.Message, Since: f.Ago(c.Heard)})
				continue
			}
			if c.Counts.Of(health) == 0 {
				continue
			}
			for _, cell := range c.Cells {
				if cell.Health == health {
					note(attention{Health: health, Cluster: c.Name, App: cell.App, Message: cell.Message, Since: f.Ago(cell.Reported)})
				}
			}
		}
	}
	for _, c := range s.Clusters {
		if c.Health == view.NotHeard && !c.Heard.IsZero() {
			note(attention{Health: c.Health, Cluster: c.Name, Message: c.Message, Since: f.Ago(c.Heard)})
		}
	}
	return shown, more
}

func regionsOf(clusters []*view.Cluster) []region {
	counts := map[[2]string]view.Counts{}
	for _, c := range clusters {
		key := [2]string{c.Region, c.Provider}
		sum := counts[key]
		sum[c.Health]++
		counts[key] = sum
	}
	var regions []region
	for key, sum := range counts {
		regions = append(regions, region{Name: key[0], Provider: key[1], Counts: sum, Bar: barOf(sum)})
	}
	slices.SortFunc(regions, func(a, b region) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Provider, b.Provider))
	})
	return regions
}

func matrixOf(s *view.Snapshot, q query, values url.Values) matrix {
	apps := s.Apps
	if app, ok := s.App(q.App); ok {
		apps = []*view.App{app}
	}
	clusters := s.Select(q.Filter)
	if q.Sort == sortWorst {
		slices.SortStableFunc(clusters, func(a, b *view.Cluster) int { return cmp.Compare(b.Health, a.Health) })
	}
	m := matrix{
		Wide:    len(apps) <= wideApps,
		Pager:   pagerOf(len(clusters), q.Page, q.Size, "page", values),
		Columns: pagerOf(len(apps), q.Apps, pageApps, "apps", values),
	}
	m.Apps = cut(apps, m.Columns)
	for _, c := range cut(clusters, m.Pager) {
		r := row{Cluster: c, Cells: make([]view.Cell, len(m.Apps))}
		for i, app := range m.Apps {
			r.Cells[i], _ = c.Cell(app.Name)
		}
		for _, cell := range c.Cells {
			if !cell.Behind {
				r.Applied++
			}
		}
		m.Rows = append(m.Rows, r)
	}
	return m
}

// chipsOf counts the clusters that the query would show for each health.
func chipsOf(s *view.Snapshot, q query) []chip {
	filter := q.Filter
	filter.Healths = nil
	var counts view.Counts
	for _, c := range s.Select(filter) {
		health := c.Health
		if q.App != "" {
			cell, _ := c.Cell(q.App) // selected because it has one
			health = cell.Health
		}
		counts[health]++
	}
	link := func(health string) string {
		values := url.Values{}
		for key, value := range map[string]string{"q": q.Text, "app": string(q.App), "health": health} {
			if value != "" {
				values.Set(key, value)
			}
		}
		if q.Sort != sortName {
			values.Set("sort", q.Sort)
		}
		return "/?" + values.Encode() + "#clusters"
	}
	chips := []chip{{mark: mark{Word: "All"}, Count: counts.Total(), Active: len(q.Healths) == 0, Link: link("")}}
	for _, h := range view.Healths() {
		if active := slices.Contains(q.Healths, h); active || counts.Of(h) > 0 {
			chips = append(chips, chip{mark: marks[h], Count: counts.Of(h), Active: active, Link: link(h.String())})
		}
	}
	return chips
}
