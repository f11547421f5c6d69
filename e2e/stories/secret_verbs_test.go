package stories

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"filippo.io/age"
	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/navarch/navarch/agent/sops"
)

// secretVerbs are about what is encrypted in Git.
var secretVerbs = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"age-key":    plain(ageKey),
	"person":     plain(person),
	"sops":       plain(runSops),
	"nowhere":    plain(nowhere),
	"kept":       plain(kept),
	"not-shown":  plain(notShown),
	"forget-age": plain(forgetAge),
}

// age-key CLUSTER VARIABLE waits until the hub tells the age key of a cluster, and gives
// a variable its value; where the variable has one, until the key is another.
func ageKey(ctx context.Context, ts *testscript.TestScript, s *story, args []string) error {
	before := ts.Getenv(args[1])
	return until(ctx, func() error {
		content, err := s.Hub.Fetch(ctx, "/api/v1/clusters/"+args[0])
		if err != nil {
			return err
		}
		var cluster struct{ Agent struct{ Recipient string } }
		if err := json.Unmarshal(content, &cluster); err != nil {
			return err
		}
		if cluster.Agent.Recipient == "" || cluster.Agent.Recipient == before {
			return fmt.Errorf("the hub tells age key %q of cluster %q, and told %q before", cluster.Agent.Recipient, args[0], before)
		}
		ts.Setenv(args[1], cluster.Agent.Recipient)
		return nil
	})
}

// person VARIABLE makes an age key that sops uses from then on, as that of whoever writes
// the story, and gives a variable its public half.
func person(_ context.Context, ts *testscript.TestScript, _ *story, args []string) error {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	ts.Setenv("SOPS_AGE_KEY", identity.String())
	ts.Setenv(args[0], identity.Recipient().String())
	return nil
}

// sopsBuilt guards the building of SOPS's own command, by the first story that needs it.
var sopsBuilt struct {
	sync.Once
	path string
	err  error
}

// sops ARG... runs SOPS's own command in the fleet's folder.
func runSops(ctx context.Context, ts *testscript.TestScript, s *story, args []string) error {
	sopsBuilt.Do(func() { sopsBuilt.path, sopsBuilt.err = s.Tools.BuildSops(ctx) })
	if sopsBuilt.err != nil {
		return sopsBuilt.err
	}
	cmd := exec.CommandContext(ctx, sopsBuilt.path, args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"HOME=" + filepath.Join(s.dir, "..", ".home"), "SOPS_AGE_KEY=" + ts.Getenv("SOPS_AGE_KEY")}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("sops %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// shown are the pages and answers of the hub that tell of apps and clusters.
func (s *story) shown() []string {
	pages := []string{"/", "/metrics", "/api/v1/fleet", "/api/v1/clusters", "/api/v1/apps"}
	for _, member := range s.Members {
		pages = append(pages, "/clusters/"+member.Name, "/api/v1/clusters/"+member.Name)
	}
	entries, _ := os.ReadDir(filepath.Join(s.dir, "apps")) // a story without apps shows none
	for _, entry := range entries {
		if entry.IsDir() {
			pages = append(pages, "/apps/"+entry.Name(), "/api/v1/apps/"+entry.Name())
		}
	}
	return pages
}

// nowhere TEXT... fails where any of the texts is in what the hub or an agent keeps, logs,
// tells or shows.
func nowhere(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	return s.leaks(ctx, args, false)
}

// kept TEXT waits until the text is in what the hub or an agent keeps: then nowhere would
// find others there too.
func kept(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	return until(ctx, func() error {
		found, err := s.Leaks(ctx, args[0], false, nil)
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("%q is nowhere", args[0])
		}
		return err
	})
}

// not-shown TEXT... fails where any of the texts is in what the hub or an agent logs, tells
// or shows.
func notShown(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	return s.leaks(ctx, args, true)
}

func (s *story) leaks(ctx context.Context, texts []string, served bool) error {
	var failures []error
	for _, text := range texts {
		found, err := s.Leaks(ctx, text, served, s.shown())
		if err == nil && len(found) > 0 {
			err = fmt.Errorf("%q is in %s", text, strings.Join(found, ", "))
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// forget-age CLUSTER ends the cluster's agent, deletes its age key, and starts it again.
func forgetAge(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	s.Agents[args[0]].Stop()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "navarch-system", Name: sops.OwnKey}}
	if err := s.Member(args[0]).Client.Delete(ctx, secret); err != nil {
		return err
	}
	return s.Agents[args[0]].Start()
}
