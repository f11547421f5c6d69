package dashboard

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/access"
	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/wire"
)

var storybook = flag.String("storybook", "", "serve each story on a port of its own, from this address on, until interrupted")

// noon is when every story is looked at.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

// stories are fleets to look at: the tests render every page of each, and
// `go test ./hub/dashboard -run TestStorybook -storybook 127.0.0.1:9000` shows them
// in a browser.
var stories = map[string]func() *view.Board{
	"empty":   emptyStory,
	"fresh":   freshStory,
	"healthy": func() *view.Board { return small().board() },
	"refused": refusedStory,
	"hold":    holdStory,
	"failing": failingStory,
	"silent":  silentStory,
	"strange": strangeStory,
	"hostile": hostileStory,
	"large":   largeStory,
}

func TestStorybook(t *testing.T) {
	if *storybook == "" {
		t.Skip("run with -storybook HOST:PORT to look at the stories")
	}
	address, err := net.ResolveTCPAddr("tcp", *storybook)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sortedStories() {
		handler := newStory(stories[name]())
		listener, err := net.ListenTCP("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		fmt.Printf("%-8s http://%s/\n", name, listener.Addr())
		go func() { _ = http.Serve(listener, handler) }()
		address.Port++
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	<-interrupted
}

func newStory(board *view.Board) http.Handler {
	return newStoryAs(operator, board)
}

// operator is whoever is on the hub's machine; admin is who has signed in there.
var (
	operator = access.Caller{Person: access.Person{Name: "local", By: access.ByLoopback}, Rights: access.Grants(access.Operator, access.Scope{})}
	admin    = access.Caller{Person: access.Person{Name: "ada@example.com", By: access.ByOIDC}, Rights: access.Grants(access.Admin, access.Scope{}), Session: true}
)

// as serves a dashboard to one caller, without a gate.
func as(caller access.Caller, c Config) http.Handler {
	mux := http.NewServeMux()
	for _, route := range New(c).Routes() {
		mux.HandleFunc(route.Pattern, func(w http.ResponseWriter, r *http.Request) {
			route.Handler(w, r.WithContext(access.With(r.Context(), caller)))
		})
	}
	return Secure(http.NewCrossOriginProtection().Handler(mux))
}

func newStoryAs(caller access.Caller, board *view.Board) http.Handler {
	return as(caller, Config{
		Board:   board,
		Version: "v0.1.0",
		Now:     func() time.Time { return noon },
		Release: func(_ context.Context, revision string) error {
			if revision != revisionOf("c") {
				return fmt.Errorf("revision %q is not held", revision)
			}
			return nil
		},
		Ready:  func() error { return errors.New("the repository has not been read yet") },
		People: storyPeople,
	})
}

// sketch is a fleet to make a story of.
type sketch struct {
	plan    view.Plan
	desired fleet.Published
	reports []wire.Report
	beats   []wire.Heartbeat
	heard   map[fleet.ClusterName]time.Time // default: two seconds ago
}

// revisionOf gives the revision of a commit whose hash is one letter.
func revisionOf(letter string) string { return "main@sha1:" + digestOf(letter).Hex()[:40] }

func digestOf(words ...string) fleet.Digest { return fleet.DigestOf([]byte(strings.Join(words, " "))) }

// small is three clusters and four apps that are all well.
func small() *sketch {
	s := &sketch{desired: fleet.Published{}, heard: map[fleet.ClusterName]time.Time{}}
	s.plan.Revision = revisionOf("b")
	s.cluster(fleet.Cluster{Name: "edge-1", Region: "store-0042", Provider: "onprem", Labels: map[string]string{"env": "edge", "tier": "small"},
		Taints: []fleet.Taint{{Key: "edge", Value: "true", Effect: "NoSchedule"}}}, 1)
	s.cluster(fleet.Cluster{Name: "eu-1", Region: "eu-west-1", Provider: "aws", Zones: []string{"eu-west-1a", "eu-west-1b"}, Labels: map[string]string{"env": "prod"}}, 6)
	s.cluster(fleet.Cluster{Name: "us-1", Region: "us-east-2", Provider: "aws", Labels: map[string]string{"env": "prod", "canary": "yes"}}, 9)
	s.app("ingress", nil, "edge-1", "eu-1", "us-1")
	s.app("metrics", nil, "edge-1", "eu-1", "us-1")
	s.app("payments", []fleet.AppName{"ingress"}, "eu-1", "us-1")
	s.app("shop", []fleet.AppName{"ingress", "payments"}, "edge-1", "eu-1", "us-1")
	return s
}

func (s *sketch) cluster(c fleet.Cluster, nodes int) {
	s.plan.Definition.Clusters = append(s.plan.Definition.Clusters, c)
	s.desired[c.Name] = fleet.Desired{}
	var used map[string]string
	if c.Provider == "aws" { // one of those that measure
		used = map[string]string{"cpu": fmt.Sprintf("%dm", nodes*1980), "memory": fmt.Sprintf("%dKi", nodes*17<<20)}
	}
	s.beats = append(s.beats, wire.Heartbeat{
		Version: wire.Version, Cluster: c.Name, Instance: "agent-7c9f", Agent: "v0.1.0", Epoch: 1, Sequence: 4, Revision: revisionOf("b"),
		Facts: wire.Facts{
			Kubernetes: "v1.36.3", Nodes: nodes, NodesReady: nodes,
			Capacity:    map[string]string{"cpu": strconv.Itoa(nodes * 8), "memory": fmt.Sprintf("%dKi", nodes*32<<20), "pods": strconv.Itoa(nodes * 110)},
			Allocatable: map[string]string{"cpu": strconv.Itoa(nodes*8 - 1), "memory": fmt.Sprintf("%dKi", nodes*31<<20), "pods": strconv.Itoa(nodes * 110)},
			Requested:   map[string]string{"cpu": fmt.Sprintf("%dm", nodes*5250), "memory": fmt.Sprintf("%dMi", nodes*21<<10), "pods": strconv.Itoa(nodes * 14)},
			Used:        used,
			Pods:        map[string]int{"Running": nodes * 14, "Succeeded": 3},
		},
		Cost:      wire.Cost{CPUSeconds: 12.5, ResidentBytes: 42 << 20, Requests: 420, Applied: 100, Repaired: 3, Failures: 1},
		Recipient: "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
	})
}

func (s *sketch) app(name fleet.AppName, dependsOn []fleet.AppName, clusters ...fleet.ClusterName) {
	path := "apps/" + string(name)
	s.plan.Definition.Apps = append(s.plan.Definition.Apps, fleet.App{
		Name: name, Namespace: string(name), Source: fleet.Source{Path: path + "/base"}, DependsOn: dependsOn,
		Position: fleet.Position{File: path + "/app.yaml", Line: 1},
	})
	outcome := fleet.Outcome{App: name}
	for _, cluster := range clusters {
		outcome.Placed = append(outcome.Placed, fleet.Decision{Cluster: cluster, Because: fleet.Because{Rule: "labelSelector", Detail: "env in (prod, edge)"}})
		app := fleet.DesiredApp{Name: name, Namespace: string(name), Overlay: digestOf("overlay", string(name), string(cluster)[:1]), Base: digestOf("base", string(name))}
		desired := s.desired[cluster]
		desired.Apps = append(desired.Apps, app)
		s.desired[cluster] = desired
		applied := wire.Applied{Revision: revisionOf("b"), Overlay: app.Overlay, Base: app.Base}
		s.reports = append(s.reports, wire.Report{
			Version: wire.Version, Cluster: cluster, App: name, Attempted: applied, Applied: applied, AppliedAt: ago(3 * time.Minute),
			Conditions: []wire.Condition{{Type: wire.Ready, Status: "True", Reason: "Applied"}},
			Objects: []wire.ObjectReport{
				object("", "Service", name, wire.Current, ""),
				object("", "ServiceAccount", name, wire.Current, ""),
				deployment(name),
				object("networking.k8s.io", "Ingress", name, wire.Current, ""),
			},
		})
	}
	s.plan.Outcomes = append(s.plan.Outcomes, outcome)
}

func deployment(app fleet.AppName) wire.ObjectReport {
	o := object("apps", "Deployment", app, wire.Current, "")
	o.Replicas = &wire.Replicas{Wanted: 6, Updated: 6, Ready: 6, Available: 6}
	return o
}

func object(group, kind string, app fleet.AppName, health wire.Health, message string) wire.ObjectReport {
	id := fleet.ObjectID{Group: group, Kind: kind, Namespace: string(app), Name: string(app)}
	return wire.ObjectReport{ObjectID: id, Health: health, Message: message}
}

// report returns the report of an app on a cluster, to be changed.
func (s *sketch) report(cluster fleet.ClusterName, app fleet.AppName) *wire.Report {
	for i := range s.reports {
		if s.reports[i].Cluster == cluster && s.reports[i].App == app {
			return &s.reports[i]
		}
	}
	panic("the sketch has no such report")
}

// board is the sketch as a hub knows it.
func (s *sketch) board() *view.Board {
	b := view.NewBoard()
	b.Repository(view.Repository{URL: "https://git.example.com/platform/fleet.git", Branch: "main", Fetched: ago(20 * time.Second)})
	b.Commit(view.Commit{Revision: revisionOf("b"), Message: "shop: scale the front end for the sale\n\nApproved by the platform team.",
		Author: "Ada Example", Time: ago(4 * time.Minute), Accepted: true})
	b.Plan(s.plan)
	b.Published(s.desired, revisionOf("b"), ago(4*time.Minute))
	s.hear(b)
	return b
}

// hear lets every agent say what the sketch has it say.
func (s *sketch) hear(b *view.Board) {
	heard := func(cluster fleet.ClusterName, last time.Time) time.Time {
		if at, ok := s.heard[cluster]; ok {
			return at
		}
		return last
	}
	for _, h := range s.beats {
		if at := heard(h.Cluster, ago(2*time.Second)); !at.IsZero() {
			b.Heartbeat(h, at)
		}
	}
	for _, r := range s.reports {
		if at := heard(r.Cluster, ago(95*time.Second)); !at.IsZero() {
			b.Report(r, at)
		}
	}
}

// announce tells clusters newer content of an app, by a commit of 12 seconds ago.
func (s *sketch) announce(b *view.Board, app fleet.AppName, clusters ...fleet.ClusterName) {
	for _, cluster := range clusters {
		desired := fleet.Desired{}
		for _, d := range s.desired[cluster].Apps {
			if d.Name == app {
				d.Overlay = digestOf("newer overlay", string(app), string(cluster)[:1])
			}
			desired.Apps = append(desired.Apps, d)
		}
		s.desired[cluster] = desired
	}
	b.Commit(view.Commit{Revision: revisionOf("c"), Message: "shop: version 2.4", Author: "Grace Example", Time: ago(15 * time.Second), Accepted: true})
	b.Published(s.desired, revisionOf("c"), ago(12*time.Second))
}

func emptyStory() *view.Board {
	b := view.NewBoard()
	b.Repository(view.Repository{URL: "https://git.example.com/platform/fleet.git", Branch: "main"})
	return b
}

func freshStory() *view.Board {
	b := view.NewBoard()
	b.Repository(view.Repository{URL: "git@git.example.com:platform/fleet.git", Branch: "main", Fetched: ago(time.Second)})
	b.Commit(view.Commit{Revision: revisionOf("a"), Message: "a new fleet", Author: "Ada Example", Time: ago(30 * time.Second), Accepted: true})
	b.Plan(view.Plan{Revision: revisionOf("a"), Definition: fleet.Definition{Apps: []fleet.App{{Name: "shop"}}}, Outcomes: []fleet.Outcome{{App: "shop"}}})
	b.Published(fleet.Published{}, revisionOf("a"), ago(20*time.Second))
	return b
}

func refusedStory() *view.Board {
	b := small().board()
	b.Commit(view.Commit{
		Revision: revisionOf("d"), Message: "payments: move to the new registry", Author: "Grace Example", Time: ago(40 * time.Second),
		Problems: fleet.Problems{
			{File: "apps/payments/app.yaml", Line: 14, Field: "spec.overrides[0].overriders.imageOverrider[0].component",
				Message: `"Host" is not Registry, Repository or Tag`, Hint: `did you mean "Registry"?`},
			{File: "apps/payments/app.yaml", Line: 21, Field: "spec.dependsOn[1]", Message: `no app is called "ingres"`, Hint: `did you mean "ingress"?`},
			{File: "clusters/us-1.yaml", Line: 6, Field: "spec.taints[0].effect", Message: `"NoStart" is not NoSchedule, PreferNoSchedule or NoExecute`},
			{File: "fleet.yaml", Message: "nothing bounds the clusters that may lose an app", Hint: "say deletionBudget.clusters", Warning: true},
		},
	})
	return b
}

func holdStory() *view.Board {
	s := small()
	b := s.board()
	p := s.plan
	p.Revision, p.Held = revisionOf("c"), true
	p.Holds = []fleet.Hold{
		{Cluster: "eu-1", Message: "deletes 60 of 71 objects (84%), the budget is 20%"},
		{Cluster: "us-1", Message: "deletes Namespace payments: removing a namespace always needs a person"},
	}
	var lost []fleet.ObjectID
	for i := range 60 {
		lost = append(lost, fleet.ObjectID{Group: "apps", Kind: "Deployment", Namespace: "payments", Name: fmt.Sprintf("worker-%02d", i)})
	}
	p.Changes = []fleet.Change{
		{Cluster: "us-1", Removed: []fleet.AppName{"payments"}, Deleted: []fleet.ObjectID{{Kind: "Namespace", Name: "payments"}, {Kind: "Service", Namespace: "payments", Name: "payments"}}},
		{Cluster: "eu-1", Removed: []fleet.AppName{"payments"}, Deleted: lost},
		{Cluster: "edge-1", Changed: []fleet.AppName{"shop"}},
	}
	b.Commit(view.Commit{Revision: p.Revision, Message: "payments: retire", Author: "Grace Example", Time: ago(time.Minute), Accepted: true})
	b.Plan(p)
	return b
}

func failingStory() *view.Board {
	s := small()
	b := s.board()
	s.announce(b, "shop", "edge-1", "eu-1", "us-1")
	s.heard["eu-1"], s.heard["us-1"] = ago(4*time.Second), ago(3*time.Second)
	for _, cluster := range []fleet.ClusterName{"eu-1", "us-1"} {
		r := s.report(cluster, "shop")
		r.Attempted = wire.Applied{Revision: revisionOf("c"), Overlay: digestOf("newer overlay", "shop", string(cluster)[:1]), Base: digestOf("base", "shop")}
	}
	eu := s.report("eu-1", "shop")
	eu.Applied = eu.Attempted
	eu.Conditions = []wire.Condition{{Type: wire.Reconciling, Status: "True", Reason: "Progressing", Message: "waiting for Deployment shop/shop: 2 of 6 replicas are available"}}
	eu.Objects[2] = object("apps", "Deployment", "shop", wire.InProgress, "Updated: 4/6")
	eu.Objects[2].Replicas = &wire.Replicas{Wanted: 6, Updated: 4, Ready: 3, Available: 2}
	us := s.report("us-1", "shop")
	us.Conditions = []wire.Condition{{Type: wire.Stalled, Status: "True", Reason: "ApplyFailed",
		Message: `apply Deployment shop/shop: admission webhook "policy.example.com" denied the request: image "registry.example.com/shop:2.4" is not signed`}}
	us.Objects[2] = object("apps", "Deployment", "shop", wire.Failed, `admission webhook "policy.example.com" denied the request: image "registry.example.com/shop:2.4" is not signed`)
	us.Objects[0].Drift = &wire.Drift{Time: ago(3 * time.Minute), Fields: []string{".spec.sessionAffinity"}, By: []string{"kubectl-edit"}, Repaired: true}
	us.Objects[3] = object("networking.k8s.io", "Ingress", "shop", wire.NotFound, "not applied yet")
	s.hear(b)
	return b
}

func silentStory() *view.Board {
	s := small()
	s.cluster(fleet.Cluster{Name: "ap-1", Region: "ap-south-1", Provider: "gcp", Labels: map[string]string{"env": "prod"}}, 3)
	s.app("audit", nil, "ap-1", "eu-1")
	s.heard["edge-1"], s.heard["ap-1"] = ago(12*time.Minute), time.Time{}
	b := s.board()
	s.announce(b, "shop", "edge-1")
	return b
}

func strangeStory() *view.Board {
	s := small()
	s.reports = append(s.reports, wire.Report{Version: wire.Version, Cluster: "us-1", App: "legacy", Held: true, Objects: []wire.ObjectReport{object("apps", "StatefulSet", "legacy", wire.Current, "")}})
	s.beats = append(s.beats, wire.Heartbeat{Version: wire.Version, Cluster: "lab-7", Agent: "v0.1.0", Facts: wire.Facts{Kubernetes: "v1.35.1", Nodes: 2, NodesReady: 1}})
	s.beats[1].Refused = "the announcement is not signed by the hub's key"
	b := s.board()
	b.Commit(view.Commit{Revision: revisionOf("e"), Message: "back to last week", Author: "Ada Example", Time: ago(time.Minute), Accepted: true, Rewound: true,
		Problems: fleet.Problems{{File: "fleet.yaml", Line: 3, Message: "nothing bounds the clusters that may lose an app", Warning: true}}})
	leaving := s.desired["edge-1"]
	leaving.Apps, leaving.Tombstones = leaving.Apps[:2], []fleet.Tombstone{{App: "shop", Revision: revisionOf("e")}}
	s.desired["edge-1"] = leaving
	b.Published(s.desired, revisionOf("e"), ago(8*time.Second))
	p := s.plan
	p.Revision, p.Held, p.Announced = revisionOf("e"), true, true
	p.Holds = []fleet.Hold{{Cluster: "us-1", Message: `app "legacy": its agent keeps it, and Git names neither the app nor its removal`}}
	b.Plan(p)
	b.Repository(view.Repository{URL: "https://git.example.com/platform/fleet.git", Branch: "main", Fetched: ago(3 * time.Minute),
		Error: `fetch "https://git.example.com/platform/fleet.git": dial tcp 192.0.2.1:443: connection refused`})
	return b
}

// hostileStory is what somebody who wants into the page would write.
func hostileStory() *view.Board {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	s := small()
	s.plan.Definition.Clusters[1].Labels["evil"] = evil
	s.plan.Definition.Clusters[1].Region = evil
	s.beats[1].Agent, s.beats[1].Facts.Kubernetes = evil, evil
	r := s.report("eu-1", "shop")
	r.Conditions = []wire.Condition{{Type: wire.Stalled, Status: "True", Message: evil}}
	r.Objects[0] = wire.ObjectReport{ObjectID: fleet.ObjectID{Group: evil, Kind: evil, Namespace: evil, Name: evil}, Health: wire.Health(evil), Message: evil}
	b := s.board()
	b.Repository(view.Repository{URL: "javascript:alert(1)//" + evil, Branch: evil, Error: evil})
	b.Commit(view.Commit{Revision: evil, Message: evil, Author: evil, Time: ago(time.Minute), Problems: fleet.Problems{{File: evil, Field: evil, Message: evil, Hint: evil}}})
	p := s.plan
	p.Held, p.Revision, p.Holds = true, evil, []fleet.Hold{{Cluster: evil, Message: evil}}
	p.Changes = []fleet.Change{{Cluster: evil, Removed: []fleet.AppName{evil}, Deleted: []fleet.ObjectID{{Kind: evil, Namespace: evil, Name: evil}}}}
	b.Plan(p)
	return b
}

// largeStory is 10,000 clusters with twelve apps, of which some do badly.
func largeStory() *view.Board {
	s := &sketch{desired: fleet.Published{}, heard: map[fleet.ClusterName]time.Time{}}
	s.plan.Revision = revisionOf("b")
	regions := []string{"ap-south-1", "eu-central-1", "eu-west-1", "sa-east-1", "us-east-2", "us-west-1"}
	var names []fleet.ClusterName
	for i := range 10_000 {
		name := fleet.ClusterName(fmt.Sprintf("store-%05d", i))
		names = append(names, name)
		s.cluster(fleet.Cluster{Name: name, Region: regions[i*7%len(regions)], Provider: "onprem", Labels: map[string]string{"env": "edge"}}, 1+i%5)
		if i%333 == 17 {
			s.heard[name] = ago(time.Duration(i) * time.Second)
		}
	}
	for i, app := range []fleet.AppName{"audit", "cache", "catalog", "checkout", "ingress", "inventory", "loyalty", "metrics", "payments", "printing", "shop", "tills"} {
		if i%4 == 3 {
			s.app(app, nil, names[:7000]...)
			continue
		}
		s.app(app, nil, names...)
	}
	for i := range s.reports {
		switch r := &s.reports[i]; {
		case i%4001 == 13:
			r.Conditions = []wire.Condition{{Type: wire.Stalled, Status: "True", Message: "Deployment " + string(r.App) + ": the image cannot be pulled"}}
		case i%907 == 5:
			r.Conditions = []wire.Condition{{Type: wire.Reconciling, Status: "True", Message: "1 of 2 replicas are available"}}
		}
	}
	return s.board()
}
