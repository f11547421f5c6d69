package dashboard

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/access"
	"github.com/navarch/navarch/hub/view"
)

// frame is what every page has.
type frame struct {
	Title    string
	Build    string // version of the hub
	Now      time.Time
	Snapshot *view.Snapshot
	Alerts   alerts
	Still    bool   // the answer to a form: it cannot follow live
	Address  string // address where the page is found again, where that is another than the browser's
	Caller   access.Caller
}

// frame is the frame of a page for who asks, with what that one sees.
func (d *Dashboard) frame(r *http.Request, title string) frame {
	s := d.snapshot(r)
	f := frame{Title: title, Build: d.Version, Now: d.Now(), Snapshot: s, Alerts: alertsOf(s), Caller: access.Of(r.Context())}
	if f.Alerts.Hold != nil {
		f.Alerts.Hold.Mine = f.Caller.Rights.Role() >= access.Operator
	}
	return f
}

// Admin tells whether who looks may do what admins do, to some cluster.
func (f frame) Admin() bool { return f.Caller.Rights.Role() >= access.Admin }

// Auditor tells whether who looks may read the audit log.
func (f frame) Auditor() bool { return f.Caller.Rights.Whole(access.Admin) }

// Ago gives a time as seen from when the page was made.
func (f frame) Ago(t time.Time) moment { return moment{At: t, Now: f.Now} }

// alerts is what a person should know before anything else.
type alerts struct {
	Repository string        // why it cannot be read
	Refused    *view.Commit  // the newest commit, where it changed nothing
	Problems   []problemFile // of the newest commit
	Warnings   bool          // they are only warnings: the commit was accepted
	Rewound    *view.Commit  // the newest commit, where it is an older one again
	Hold       *hold
}

// Any tells whether there is anything to say.
func (a alerts) Any() bool {
	return a.Repository != "" || a.Refused != nil || len(a.Problems) > 0 || a.Rewound != nil || a.Hold != nil
}

// problemFile is the problems in one file.
type problemFile struct {
	File     string
	Problems fleet.Problems
}

// hold is a held commit with as much of what it deletes as a page can show.
type hold struct {
	*view.Hold
	Clusters []holdCluster
	Hidden   int  // clusters that are not shown
	Mine     bool // who looks may release commits
}

type holdCluster struct {
	fleet.Change
	Hidden int // deleted objects that are not shown
}

// Losses returns how many objects the cluster loses.
func (c holdCluster) Losses() int { return len(c.Deleted) + c.Hidden }

// How much of a hold a page shows. The API gives all of it.
const (
	holdClusters = 25
	holdObjects  = 50
)

func alertsOf(s *view.Snapshot) alerts {
	a := alerts{Repository: s.Repository.Error}
	if latest := s.Latest; latest != nil {
		a.Problems = problemsByFile(latest.Problems)
		a.Warnings = latest.Accepted
		if !latest.Accepted {
			a.Refused = latest
		}
		if latest.Rewound {
			a.Rewound = latest
		}
	}
	if s.Hold != nil {
		a.Hold = holdOf(s.Hold)
	}
	return a
}

func problemsByFile(problems fleet.Problems) []problemFile {
	var files []problemFile
	for _, p := range problems.Sorted() {
		if len(files) == 0 || files[len(files)-1].File != p.File {
			files = append(files, problemFile{File: p.File})
		}
		last := &files[len(files)-1]
		last.Problems = append(last.Problems, p)
	}
	return files
}

// holdOf shows the clusters that lose most first.
func holdOf(h *view.Hold) *hold {
	shown := &hold{Hold: h}
	for _, change := range h.Changes {
		if len(change.Deleted) == 0 && len(change.Removed) == 0 {
			continue
		}
		c := holdCluster{Change: change}
		if len(change.Deleted) > holdObjects {
			c.Deleted, c.Hidden = change.Deleted[:holdObjects], len(change.Deleted)-holdObjects
		}
		shown.Clusters = append(shown.Clusters, c)
	}
	slices.SortStableFunc(shown.Clusters, func(a, b holdCluster) int {
		return cmp.Compare(b.Losses(), a.Losses())
	})
	if len(shown.Clusters) > holdClusters {
		shown.Clusters, shown.Hidden = shown.Clusters[:holdClusters], len(shown.Clusters)-holdClusters
	}
	return shown
}

// bar is counts as segments of a line of 100 units.
type bar []segment

type segment struct {
	mark
	X, Width float64
	Count    int
}

// barOf gives every health that occurs at least a visible width.
func barOf(counts view.Counts) bar {
	total := counts.Total()
	if total == 0 {
		return nil
	}
	const least = 2.0
	var b bar
	spare := 100.0
	for _, h := range slices.Backward(view.Healths()) {
		if n := counts.Of(h); n > 0 {
			b = append(b, segment{mark: marks[h], Count: n, Width: least})
			spare -= least
		}
	}
	x := 0.0
	for i := range b {
		width := b[i].Width + spare*float64(b[i].Count)/float64(total)
		b[i].X, b[i].Width = math.Round(x*100)/100, math.Round(width*100)/100
		x += width
	}
	return b
}
