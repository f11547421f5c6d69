package env

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/navarch/navarch/e2e/env/gitserver"
	"github.com/navarch/navarch/e2e/env/natsserver"
	"github.com/navarch/navarch/fleet"
)

// Fleet is a whole fleet that runs on this machine: a Git server with a fleet
// repository, the hub, and an agent in every member.
type Fleet struct {
	Tools      Tools
	Members    []*Member
	Git        *gitserver.Server
	SSH        *gitserver.SSH // nil: none
	Repository string         // URL
	Work       *gitserver.WorkDir
	Hub        *Hub
	NATS       *NATS               // nil: the one in the hub
	Cluster    *natsserver.Cluster // nil: none
	Agents     map[string]*Agent   // by cluster
	Second     *Agent              // that stands by; nil: none
	Prometheus *Prometheus         // nil: none
	Pushed     gitserver.Pushed    // last
	dir        string
	route      func(cluster, address string) (string, error)
}

// FleetConfig says what a fleet is made of. State and logs go below Dir.
type FleetConfig struct {
	Tools   Tools
	Members []*Member
	Dir     string
	HubArgs []string // further flags of navarch-hub
	Pprof   bool     // the hub and its agents serve profiles
	// Route returns the host and port by which the agent of a cluster reaches the
	// hub's; nil: the hub's own.
	Route func(cluster, address string) (string, error)
}

// StartFleet starts everything but the members, which run already. The repository
// is empty.
func StartFleet(ctx context.Context, c FleetConfig) (_ *Fleet, err error) {
	f := &Fleet{Tools: c.Tools, Members: c.Members, Agents: map[string]*Agent{}, dir: c.Dir, route: c.Route}
	defer func() {
		if err != nil {
			f.Stop()
		}
	}()
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, err
	}
	if f.Git, err = gitserver.Start(filepath.Join(c.Dir, "git")); err != nil {
		return nil, err
	}
	if f.Repository, err = f.Git.Create("fleet"); err != nil {
		return nil, err
	}
	if f.Work, err = gitserver.Clone(ctx, f.Repository, filepath.Join(c.Dir, "work")); err != nil {
		return nil, err
	}
	if f.Hub, err = NewHub(c.Tools, c.Dir, f.Repository, c.HubArgs...); err != nil {
		return nil, err
	}
	if c.Pprof {
		if err := f.Hub.ServeProfiles(); err != nil {
			return nil, err
		}
	}
	f.Git.Announce(f.Hub.Webhook(), WebhookSecret)
	if err := f.Hub.Start(ctx); err != nil {
		return nil, err
	}
	return f, f.installAgents(ctx)
}

func (f *Fleet) installAgents(ctx context.Context) error {
	for _, member := range f.Members {
		hub := *f.Hub
		if f.route != nil {
			address, err := f.route(member.Name, strings.TrimPrefix(hub.NATSURL, "tls://"))
			if err != nil {
				return err
			}
			hub.NATSURL = "tls://" + address
		}
		agent, err := hub.InstallAgent(ctx, member, f.dir)
		if err != nil {
			return err
		}
		f.Agents[member.Name] = agent
	}
	return nil
}

// Rename gives members other names, by which their agents are installed anew: by the
// new name, the old one. Members that are not named have no agent from then on.
func (f *Fleet) Rename(ctx context.Context, names map[string]string) error {
	var renamed []*Member
	for _, name := range slices.Sorted(maps.Keys(names)) {
		member := *f.Member(names[name])
		member.Name = name
		renamed = append(renamed, &member)
	}
	for _, agent := range f.Agents {
		agent.Stop()
	}
	f.Members, f.Agents = renamed, map[string]*Agent{}
	return f.installAgents(ctx)
}

// UseOwnNATS moves the hub and the agents to a stock NATS server.
func (f *Fleet) UseOwnNATS(ctx context.Context) error {
	var err error
	if f.NATS, err = f.Hub.NewNATS(ctx, f.dir); err != nil {
		return err
	}
	if err := f.NATS.Start(ctx); err != nil {
		return err
	}
	return f.move(ctx, f.NATS.URL, f.NATS.CA)
}

// move has the hub and the agents use other NATS servers.
func (f *Fleet) move(ctx context.Context, urls, authority string) error {
	for _, agent := range f.Agents {
		agent.Stop()
	}
	f.Hub.Stop()
	f.Hub.UseNATS(urls, authority)
	if err := f.Hub.Start(ctx); err != nil {
		return err
	}
	return f.installAgents(ctx)
}

// Stop ends everything that StartFleet started.
func (f *Fleet) Stop() {
	for _, agent := range f.Agents {
		agent.Stop()
	}
	if f.Second != nil {
		f.Second.Stop()
	}
	if f.Hub != nil {
		f.Hub.Stop()
	}
	if f.NATS != nil {
		f.NATS.Stop()
	}
	if f.Cluster != nil {
		f.Cluster.Kill()
	}
	if f.Prometheus != nil {
		f.Prometheus.Stop()
	}
	if f.SSH != nil {
		_ = f.SSH.Close() // as the one below
	}
	if f.Git != nil {
		_ = f.Git.Close() // nothing is lost: it is removed with its folder
	}
}

// Member returns the member with a name, nil where there is none.
func (f *Fleet) Member(name string) *Member {
	for _, member := range f.Members {
		if member.Name == name {
			return member
		}
	}
	return nil
}

// Checkout makes the checkout hold exactly the files of dir, and commits nothing.
func (f *Fleet) Checkout(dir string) error {
	entries, err := os.ReadDir(f.Work.Path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() == ".git" {
			continue
		}
		if err := f.Work.Remove(entry.Name()); err != nil {
			return err
		}
	}
	return os.CopyFS(f.Work.Path, os.DirFS(dir))
}

// Push makes the repository hold exactly the files of dir, in a new commit, and
// returns the revision.
func (f *Fleet) Push(ctx context.Context, dir, message string) (string, error) {
	if err := f.Checkout(dir); err != nil {
		return "", err
	}
	if _, err := f.Work.Commit(ctx, message); err != nil {
		return "", err
	}
	var err error
	f.Pushed, err = f.Work.Push(ctx)
	return f.Revision(), err
}

// Rewind makes the branch end n commits before where it ends now, by force.
func (f *Fleet) Rewind(ctx context.Context, n string) error {
	if _, err := f.Work.Git(ctx, "reset", "--quiet", "--hard", "HEAD~"+n); err != nil {
		return err
	}
	var err error
	f.Pushed, err = f.Work.Push(ctx, "--force")
	return err
}

// Revision is the last pushed commit in the hub's words.
func (f *Fleet) Revision() string { return "main@sha1:" + f.Pushed.Commit }

// overview is what the environment reads of the hub's API.
type overview struct {
	Repository struct{ Error string }
	Latest     *struct {
		Revision string
		Problems fleet.Problems
	}
	Announced *struct{ Revision string }
	Hold      *struct {
		Revision string
		Reasons  []fleet.Hold
	}
	Cells     map[string]int
	Connected int
	Behind    int
}

// Problems returns what is wrong with the last commit, a line each, warnings left out.
func (f *Fleet) Problems(ctx context.Context) ([]string, error) {
	var o overview
	if err := f.Hub.API(ctx, "fleet", &o); err != nil {
		return nil, err
	}
	if o.Latest == nil || o.Latest.Revision != f.Revision() {
		return nil, fmt.Errorf("the hub has not looked at %s", f.Revision())
	}
	var lines []string
	for _, p := range o.Latest.Problems {
		if !p.Warning {
			lines = append(lines, p.Error())
		}
	}
	return lines, nil
}

// RepositoryError returns why the hub cannot read the repository, empty when it can.
func (f *Fleet) RepositoryError(ctx context.Context) (string, error) {
	var o overview
	err := f.Hub.API(ctx, "fleet", &o)
	return o.Repository.Error, err
}

// Holds returns why the hub waits for a person, "cluster: message" each.
func (f *Fleet) Holds(ctx context.Context) ([]string, error) {
	var o overview
	if err := f.Hub.API(ctx, "fleet", &o); err != nil || o.Hold == nil {
		return nil, err
	}
	var lines []string
	for _, h := range o.Hold.Reasons {
		lines = append(lines, string(h.Cluster)+": "+h.Message)
	}
	return lines, nil
}

// Ready waits until the hub has announced the last push and says that every app is
// Ready where it is placed, at what was announced.
func (f *Fleet) Ready(ctx context.Context) error {
	return until(ctx, func() error {
		var o overview
		if err := f.Hub.API(ctx, "fleet", &o); err != nil {
			return err
		}
		if o.Hold != nil {
			return fmt.Errorf("%s is held", o.Hold.Revision)
		}
		if o.Announced == nil || o.Announced.Revision != f.Revision() {
			return fmt.Errorf("the hub has not announced %s", f.Revision())
		}
		if o.Connected < len(f.Members) {
			return fmt.Errorf("%d of %d clusters are connected", o.Connected, len(f.Members))
		}
		for health, n := range o.Cells {
			if health != "Ready" && n > 0 {
				return fmt.Errorf("apps are not ready: %v", o.Cells)
			}
		}
		if o.Behind > 0 {
			return fmt.Errorf("%d apps are behind", o.Behind)
		}
		return nil
	})
}

// Programs returns the hub and the agents, as they were started last.
func (f *Fleet) Programs() []*Program {
	programs := []*Program{f.Hub.Program}
	for _, member := range f.Members {
		if agent := f.Agents[member.Name]; agent != nil {
			programs = append(programs, agent.Program)
		}
	}
	if f.Second != nil {
		programs = append(programs, f.Second.Program)
	}
	return programs
}

// Announced waits until the hub has announced the last push.
func (f *Fleet) Announced(ctx context.Context) error {
	return until(ctx, func() error {
		var o overview
		if err := f.Hub.API(ctx, "fleet", &o); err != nil {
			return err
		}
		if o.Announced == nil || o.Announced.Revision != f.Revision() {
			return fmt.Errorf("the hub has not announced %s", f.Revision())
		}
		return nil
	})
}

// Describe tells what the hub and the agents said last, and what the hub knows of each
// cluster, for a failure's message.
func (f *Fleet) Describe() string {
	var b strings.Builder
	for _, program := range f.Programs() {
		fmt.Fprintf(&b, "--- end of %s\n%s\n", program.Log, program.Tail(15))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var clusters json.RawMessage
	if err := f.Hub.API(ctx, "clusters", &clusters); err != nil {
		fmt.Fprintf(&b, "--- the hub does not tell of clusters: %v\n", err)
	} else {
		fmt.Fprintf(&b, "--- the hub tells of clusters\n%s\n", clusters)
	}
	return b.String()
}
