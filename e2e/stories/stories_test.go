package stories

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/navarch/navarch/e2e/env"
)

// patience is how long a verb waits for what it names before the story fails.
const patience = 60 * time.Second

// stage is what all stories share: the programs and the members. One story plays
// at a time.
type stage struct {
	tools   env.Tools
	members []*env.Member
	playing sync.Mutex
}

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard()) // what the API clients of these tests say helps nobody
	os.Exit(m.Run())
}

// TestStories plays every script of testdata. It needs the parts of a member
// cluster; `make test` builds them and says where they are.
func TestStories(t *testing.T) {
	if testing.Short() {
		t.Skip("stories need member clusters: run them with make test")
	}
	if os.Getenv("NAVARCH_LOCALCLUSTER") == "" {
		t.Skip("NAVARCH_LOCALCLUSTER is not set: run the stories with make test")
	}
	s := setStage(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup:               s.setup,
		Cmds:                allVerbs(),
		Condition:           s.condition,
	})
}

// condition is what stories may ask for in brackets: prometheus and ssh, with
// ssh-keygen, where they are there.
func (s *stage) condition(name string) (bool, error) {
	switch name {
	case "prometheus":
		return s.tools.Prometheus != "", nil
	case "ssh":
		_, client := exec.LookPath("ssh")
		_, keygen := exec.LookPath("ssh-keygen")
		return client == nil && keygen == nil, nil
	}
	return false, fmt.Errorf("no condition %q", name)
}

func allVerbs() map[string]func(*testscript.TestScript, bool, []string) {
	all := maps.Clone(verbs)
	maps.Copy(all, memberVerbs)
	maps.Copy(all, planVerbs)
	maps.Copy(all, scrapeVerbs)
	maps.Copy(all, joinVerbs)
	maps.Copy(all, secretVerbs)
	maps.Copy(all, gitVerbs)
	return all
}

func setStage(t *testing.T) *stage {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	dir := t.TempDir()
	tools, err := env.Build(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	var members []*env.Member
	t.Cleanup(func() {
		for _, member := range members {
			if err := member.Stop(); err != nil {
				t.Error(err)
			}
		}
	})
	members, err = startMembers(ctx, tools, filepath.Join(dir, "members"))
	if err != nil {
		t.Fatal(err)
	}
	return &stage{tools: tools, members: members}
}

// startMembers starts two clusters, and a third that measures what its nodes use. It
// returns those that were started also with an error.
func startMembers(ctx context.Context, tools env.Tools, dir string) (members []*env.Member, err error) {
	var edge *env.Member
	var group errgroup.Group
	group.Go(func() (err error) {
		members, err = env.StartMembers(ctx, tools, dir, "eu-1", "us-1")
		return err
	})
	group.Go(func() (err error) {
		edge, err = env.StartMeasuredMember(ctx, tools, dir, "edge-1")
		return err
	})
	err = group.Wait()
	if edge != nil {
		members = append(members, edge)
	}
	return members, err
}

// setup gives a story a fleet of its own: a repository, a hub and three agents on
// the shared members. The sample fleet lies in $WORK/fleet, not pushed yet, unless the
// story brings clusters of its own.
func (s *stage) setup(e *testscript.Env) error {
	s.playing.Lock()
	e.Defer(s.playing.Unlock)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	if _, err := os.Stat(filepath.Join(e.WorkDir, "fleet", "clusters.yaml")); errors.Is(err, fs.ErrNotExist) {
		if err := os.CopyFS(filepath.Join(e.WorkDir, "fleet"), os.DirFS("testdata/fleet")); err != nil {
			return err
		}
	}
	dir := filepath.Join(e.WorkDir, ".fleet")
	fleet, err := env.StartFleet(ctx, env.FleetConfig{Tools: s.tools, Members: s.members, Dir: dir, HubArgs: []string{"--log-level", "debug"}})
	if err != nil {
		return err
	}
	e.Defer(func() {
		fleet.Stop()
		keepLogs(e.T(), dir)
		ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
		defer cancel()
		for _, member := range s.members {
			if err := member.Forget(ctx); err != nil {
				e.T().Log(err)
			}
		}
	})
	e.Setenv("IDENTITY", fleet.Hub.Identity)
	e.Values[storyKey{}] = &story{Fleet: fleet, dir: filepath.Join(e.WorkDir, "fleet")}
	return nil
}

// keepLogs copies the logs of a fleet to where NAVARCH_ARTIFACTS says, for people
// who look into a failure.
func keepLogs(t testscript.T, dir string) {
	target := os.Getenv("NAVARCH_ARTIFACTS")
	if target == "" {
		return
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		t.Log("keep logs: ", err)
		return
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return
	}
	more, _ := filepath.Glob(filepath.Join(dir, "*", "*.log"))
	for _, log := range append(logs, more...) {
		content, err := os.ReadFile(log)
		if err == nil {
			err = os.WriteFile(filepath.Join(target, fmt.Sprintf("%s-%s", filepath.Base(filepath.Dir(dir)), filepath.Base(log))), content, 0o644)
		}
		if err != nil {
			t.Log("keep log: ", err)
		}
	}
}
