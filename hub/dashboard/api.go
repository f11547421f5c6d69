package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/access"
	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/wire"
)

// The types below are the API. Fields are added and never change their meaning;
// absent means nothing to say. Times are the hub's, but for those that an agent
// says.

// header begins every answer: the snapshot that it comes from.
type header struct {
	Version uint64    `json:"version"`
	At      time.Time `json:"at"`
}

// errorJSON is the answer to what cannot be done.
type errorJSON struct {
	Error string `json:"error"`
}

// fleetJSON is GET /api/v1/fleet.
type fleetJSON struct {
	header
	Repository repositoryJSON `json:"repository"`
	Latest     *commitJSON    `json:"latest,omitempty"`    // the newest commit, accepted or not
	Accepted   *commitJSON    `json:"accepted,omitempty"`  // the newest that loaded and built
	Announced  *commitJSON    `json:"announced,omitempty"` // the newest that the fleet was told
	Hold       *holdJSON      `json:"hold,omitempty"`
	// The counts are by health. Cells are apps on clusters.
	Clusters    map[string]int      `json:"clusters"`
	Apps        map[string]int      `json:"apps"`
	Cells       map[string]int      `json:"cells"`
	Connected   int                 `json:"connected"`            // clusters
	Behind      int                 `json:"behind"`               // cells that have not applied what was announced …
	BehindSince time.Time           `json:"behindSince,omitzero"` // … the longest of them since then
	Unmanaged   []fleet.ClusterName `json:"unmanaged"`            // heard from, and not in Git
}

type repositoryJSON struct {
	URL     string    `json:"url"`
	Branch  string    `json:"branch,omitempty"`
	Fetched time.Time `json:"fetched,omitzero"`
	Error   string    `json:"error,omitempty"`
}

type commitJSON struct {
	Revision string         `json:"revision"`
	Message  string         `json:"message"`
	Author   string         `json:"author"`
	Time     time.Time      `json:"time"`
	Rewound  bool           `json:"rewound,omitempty"`
	Accepted bool           `json:"accepted"`
	Problems fleet.Problems `json:"problems"`
}

type holdJSON struct {
	Revision  string         `json:"revision"`
	Reasons   []fleet.Hold   `json:"reasons"`
	Announced bool           `json:"announced,omitempty"` // the commit is announced; what agents keep without being told to waits
	Changes   []fleet.Change `json:"changes"`
	Deleted   int            `json:"deleted"`
	Hidden    bool           `json:"hidden,omitempty"` // there is more, which you do not see
}

// clustersJSON is GET /api/v1/clusters. It takes q, app, health (repeatable), page
// and size.
type clustersJSON struct {
	header
	Total    int           `json:"total"`
	Page     int           `json:"page"`
	Pages    int           `json:"pages"`
	Clusters []clusterJSON `json:"clusters"`
}

// oneClusterJSON is GET /api/v1/clusters/{name}.
type oneClusterJSON struct {
	header
	clusterJSON
}

type clusterJSON struct {
	fleet.Cluster             // as Git describes it
	InGit         bool        `json:"inGit"`
	Health        view.Health `json:"health"`
	Message       string      `json:"message,omitempty"`
	Connected     bool        `json:"connected"`
	Heard         time.Time   `json:"heard,omitzero"` // when its agent last said anything
	Agent         *agentJSON  `json:"agent,omitempty"`
	Facts         *wire.Facts `json:"facts,omitempty"`
	Revision      string      `json:"revision,omitempty"` // announced
	Announced     time.Time   `json:"announced,omitzero"`
	Behind        bool        `json:"behind"`
	BehindSince   time.Time   `json:"behindSince,omitzero"`
	Apps          []cellJSON  `json:"apps"`
}

type agentJSON struct {
	Version  string       `json:"version"`
	Instance string       `json:"instance"`
	Epoch    uint64       `json:"epoch"`
	Sequence uint64       `json:"sequence"`
	Revision string       `json:"revision,omitempty"` // of the announcement that it accepted
	Index    fleet.Digest `json:"index,omitempty"`
	Refused  string       `json:"refused,omitempty"` // why it did not accept the newest
	Cost     *wire.Cost   `json:"cost,omitempty"`    // absent: it does not say
	// Recipient is the age key to encrypt for, so that only this cluster can decrypt.
	Recipient string `json:"recipient,omitempty"`
}

// cellJSON is one app on one cluster. Conditions and objects are given with one
// cluster or one app, not in lists.
type cellJSON struct {
	App        fleet.AppName       `json:"app"`
	Cluster    fleet.ClusterName   `json:"cluster"`
	Namespace  string              `json:"namespace,omitempty"`
	Health     view.Health         `json:"health"`
	Said       string              `json:"said,omitempty"` // with NotHeard: the health before the silence
	Message    string              `json:"message,omitempty"`
	Because    fleet.Because       `json:"because"`
	Desired    wire.Applied        `json:"desired"`
	Attempted  wire.Applied        `json:"attempted"`
	Applied    wire.Applied        `json:"applied"`
	Announced  time.Time           `json:"announced,omitzero"`
	AppliedAt  time.Time           `json:"appliedAt,omitzero"`
	Reported   time.Time           `json:"reported,omitzero"`
	Behind     bool                `json:"behind"`
	Leaving    bool                `json:"leaving,omitempty"`
	Conditions []wire.Condition    `json:"conditions,omitempty"`
	Objects    []wire.ObjectReport `json:"objects,omitempty"`
}

// appsJSON is GET /api/v1/apps.
type appsJSON struct {
	header
	Apps []appJSON `json:"apps"`
}

// oneAppJSON is GET /api/v1/apps/{name}.
type oneAppJSON struct {
	header
	appJSON
	Clusters []cellJSON `json:"clusters"`
}

type appJSON struct {
	Name      fleet.AppName   `json:"name"`
	Namespace string          `json:"namespace,omitempty"`
	InGit     bool            `json:"inGit"`
	Source    string          `json:"source,omitempty"` // for people: its path, or the files of its objects
	DependsOn []fleet.AppName `json:"dependsOn,omitempty"`
	Written   fleet.Position  `json:"written"` // where in the repository the app is defined
	Health    view.Health     `json:"health"`  // the worst
	Counts    map[string]int  `json:"counts"`  // of clusters, by health
	Behind    int             `json:"behind"`
	Revision  string          `json:"revision,omitempty"` // of the newest commit that changed it anywhere
	Announced time.Time       `json:"announced,omitzero"`
}

// The sizes of a page of the API.
const (
	apiClusters     = 500
	apiMostClusters = 5000
)

func (d *Dashboard) serveFleetJSON(w http.ResponseWriter, r *http.Request) {
	d.serveJSON(w, r, func(s *view.Snapshot) (any, error) {
		out := fleetJSON{
			header:      header{s.Version, s.At},
			Repository:  repositoryJSON(s.Repository),
			Latest:      commitOf(s.Latest),
			Accepted:    commitOf(s.Accepted),
			Announced:   commitOf(s.Announced),
			Clusters:    countsOf(s.Counts.Clusters),
			Apps:        countsOf(s.Counts.Apps),
			Cells:       countsOf(s.Counts.Cells),
			Connected:   s.Counts.Connected,
			Behind:      s.Counts.Behind,
			BehindSince: s.Counts.BehindSince,
			Unmanaged:   []fleet.ClusterName{},
		}
		for _, c := range s.Unmanaged {
			out.Unmanaged = append(out.Unmanaged, c.Name)
		}
		if s.Hold != nil {
			hold := holdJSON(*s.Hold)
			out.Hold = &hold
		}
		return out, nil
	})
}

func (d *Dashboard) serveClustersJSON(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.Query(), apiClusters, apiMostClusters)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, errorJSON{Error: err.Error()})
		return
	}
	d.serveJSON(w, r, func(s *view.Snapshot) (any, error) {
		selected := s.Select(q.Filter)
		p := pagerOf(len(selected), q.Page, q.Size, "page", nil)
		out := clustersJSON{header: header{s.Version, s.At}, Total: p.Total, Page: p.Page, Pages: p.Pages, Clusters: []clusterJSON{}}
		for _, c := range cut(selected, p) {
			out.Clusters = append(out.Clusters, clusterAsJSON(c, false))
		}
		return out, nil
	})
}

func (d *Dashboard) serveClusterJSON(w http.ResponseWriter, r *http.Request) {
	d.serveJSON(w, r, func(s *view.Snapshot) (any, error) {
		c, ok := s.Cluster(fleet.ClusterName(r.PathValue("name")))
		if !ok {
			return nil, fmt.Errorf("no cluster %q: neither in Git nor heard from", r.PathValue("name"))
		}
		return oneClusterJSON{header{s.Version, s.At}, clusterAsJSON(c, true)}, nil
	})
}

func (d *Dashboard) serveAppsJSON(w http.ResponseWriter, r *http.Request) {
	d.serveJSON(w, r, func(s *view.Snapshot) (any, error) {
		out := appsJSON{header: header{s.Version, s.At}, Apps: []appJSON{}}
		for _, app := range s.Apps {
			out.Apps = append(out.Apps, appAsJSON(app))
		}
		return out, nil
	})
}

func (d *Dashboard) serveAppJSON(w http.ResponseWriter, r *http.Request) {
	d.serveJSON(w, r, func(s *view.Snapshot) (any, error) {
		app, ok := s.App(fleet.AppName(r.PathValue("name")))
		if !ok {
			return nil, fmt.Errorf("no app %q: neither in Git nor reported", r.PathValue("name"))
		}
		out := oneAppJSON{header: header{s.Version, s.At}, appJSON: appAsJSON(app), Clusters: []cellJSON{}}
		for _, cell := range s.Cells(app.Name) {
			out.Clusters = append(out.Clusters, cellAsJSON(cell, true))
		}
		return out, nil
	})
}

// serveJSON answers with what is made of the snapshot of now, or with 404. A
// client that has the version already is told so.
func (d *Dashboard) serveJSON(w http.ResponseWriter, r *http.Request, of func(*view.Snapshot) (any, error)) {
	s := d.snapshot(r)
	etag := etagOf(s, access.Of(r.Context()))
	w.Header().Set("ETag", etag)
	for known := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimPrefix(strings.TrimSpace(known), "W/") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	value, err := of(s)
	if err != nil {
		writeJSON(w, http.StatusNotFound, errorJSON{Error: err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, value)
}

// etagOf tells a snapshot from others, and from what somebody else sees of it.
func etagOf(s *view.Snapshot, c access.Caller) string {
	if c.Rights.Whole(access.Viewer) {
		return fmt.Sprintf(`"%d"`, s.Version)
	}
	return fmt.Sprintf(`"%d-%s"`, s.Version, fleet.DigestOf([]byte(c.Rights.String())).Short())
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		answer(w, http.StatusInternalServerError, "encode answer: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "private, no-cache")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client is gone
}

func commitOf(c *view.Commit) *commitJSON {
	if c == nil {
		return nil
	}
	problems := c.Problems
	if problems == nil {
		problems = fleet.Problems{}
	}
	return &commitJSON{
		Revision: c.Revision, Message: c.Message, Author: c.Author, Time: c.Time,
		Rewound: c.Rewound, Accepted: c.Accepted, Problems: problems,
	}
}

func countsOf(counts view.Counts) map[string]int {
	out := make(map[string]int, len(counts))
	for _, h := range view.Healths() {
		out[h.String()] = counts.Of(h)
	}
	return out
}

func clusterAsJSON(c *view.Cluster, whole bool) clusterJSON {
	out := clusterJSON{
		Cluster: c.Cluster, InGit: c.InGit, Health: c.Health, Message: c.Message, Connected: c.Connected, Heard: c.Heard,
		Revision: c.Revision, Announced: c.Announced, Behind: c.Behind, BehindSince: c.BehindSince, Apps: []cellJSON{},
	}
	if h := c.Heartbeat; h.Cluster != "" {
		out.Facts = &h.Facts
		out.Agent = &agentJSON{
			Version: h.Agent, Instance: h.Instance, Epoch: h.Epoch, Sequence: h.Sequence,
			Revision: h.Revision, Index: h.Index, Refused: h.Refused, Recipient: h.Recipient,
		}
		if h.Cost != (wire.Cost{}) {
			out.Agent.Cost = &h.Cost
		}
	}
	for _, cell := range c.Cells {
		out.Apps = append(out.Apps, cellAsJSON(cell, whole))
	}
	return out
}

func cellAsJSON(c view.Cell, whole bool) cellJSON {
	out := cellJSON{
		App: c.App, Cluster: c.Cluster, Namespace: c.Namespace, Health: c.Health, Message: c.Message, Because: c.Because,
		Desired: c.Desired, Announced: c.Announced, Reported: c.Reported, Behind: c.Behind, Leaving: c.Leaving,
	}
	if c.Health == view.NotHeard {
		out.Said = c.Said.String()
	}
	if c.Report == nil {
		return out
	}
	out.Attempted, out.Applied, out.AppliedAt = c.Report.Attempted, c.Report.Applied, c.Report.AppliedAt
	if whole {
		out.Conditions, out.Objects = c.Report.Conditions, c.Report.Objects
	}
	return out
}

func appAsJSON(app *view.App) appJSON {
	return appJSON{
		Name: app.Name, Namespace: app.Namespace, InGit: app.InGit, Source: app.Source.String(), DependsOn: app.DependsOn,
		Written: app.Position, Health: app.Counts.Worst(), Counts: countsOf(app.Counts), Behind: app.Behind,
		Revision: app.Revision, Announced: app.Announced,
	}
}
