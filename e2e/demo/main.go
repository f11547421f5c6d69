// Command demo runs the main job on this machine: three member clusters, a Git
// server with a sample fleet, the hub and its agents. It ends cleanly at Ctrl-C.
package main

import (
	"context"
	"embed"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/navarch/navarch/e2e/env"
)

//go:embed all:fleet
var sample embed.FS

// names are the clusters of the sample fleet.
var names = []string{"eu-1", "us-1", "edge-1"}

func main() {
	log.SetLogger(logr.Discard())
	contexts := flag.String("contexts", "", "contexts of your kubeconfig to use instead of local clusters, with spaces between")
	once := flag.Bool("once", false, "end as soon as everything is Ready")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, strings.Fields(*contexts), *once); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1) //nolint:gocritic // the process ends; there is no signal left to stop
	}
}

func run(ctx context.Context, contexts []string, once bool) error {
	begin := time.Now()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	tools, err := env.Installed(filepath.Dir(self))
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "navarch-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	say("starting member clusters")
	members, err := startMembers(ctx, tools, filepath.Join(dir, "members"), contexts)
	if err != nil {
		return err
	}
	defer func() {
		say("stopping")
		if len(contexts) > 0 {
			say("your clusters keep what was deployed: the namespaces navarch-system, platform, shop and sensors")
		}
		for _, member := range members {
			if err := member.Stop(); err != nil {
				say("%v", err)
			}
		}
	}()
	say("starting the Git server, the hub and %d agents", len(members))
	f, err := env.StartFleet(ctx, env.FleetConfig{Tools: tools, Members: members, Dir: filepath.Join(dir, "fleet")})
	if err != nil {
		return err
	}
	defer f.Stop()
	files := filepath.Join(dir, "sample")
	if err := writeSample(files, len(members)); err != nil {
		return err
	}
	say("pushing the sample fleet")
	pushed := time.Now()
	if _, err := f.Push(ctx, files, "deploy the sample fleet"); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := f.Ready(wait); err != nil {
		return fmt.Errorf("wait until all is Ready: %w\n%s", err, f.Describe())
	}
	say("all is Ready %.1f s after the push, %.1f s after the start", time.Since(pushed).Seconds(), time.Since(begin).Seconds())
	if once {
		return nil
	}
	fmt.Print(guide(f))
	<-ctx.Done()
	fmt.Println()
	return nil
}

func startMembers(ctx context.Context, t env.Tools, dir string, contexts []string) ([]*env.Member, error) {
	if len(contexts) == 0 {
		return env.StartMembers(ctx, t, dir, names...)
	}
	if len(contexts) > len(names) {
		return nil, fmt.Errorf("the sample fleet has %d clusters, %d contexts are given", len(names), len(contexts))
	}
	var members []*env.Member
	for i, name := range contexts {
		member, err := env.UseMember(names[i], "", name)
		if err != nil {
			return nil, err
		}
		members = append(members, member)
	}
	return members, nil
}

// writeSample writes the sample fleet as files, with the first of its clusters.
func writeSample(dir string, clusters int) error {
	files, err := fs.Sub(sample, "fleet")
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, files); err != nil {
		return err
	}
	for _, name := range names[clusters:] {
		if err := os.Remove(filepath.Join(dir, "clusters", name+".yaml")); err != nil {
			return err
		}
	}
	return nil
}

func guide(f *env.Fleet) string {
	kubeconfig := ""
	if f.Members[0].Kubeconfig != "" {
		kubeconfig = " --kubeconfig " + f.Members[0].Kubeconfig
	}
	return fmt.Sprintf(`
  Dashboard   %[1]s
  Repository  git clone %[2]s my-fleet

  Three things to try in the clone:

  1. Roll out an image everywhere: change "web:1.0" to "web:1.1" in
     apps/shop/base/web.yaml, commit, git push, and watch the dashboard.
  2. Break something: write "placment:" in apps/shop/app.yaml and push. Nothing
     changes anywhere, and the dashboard says file and line.
  3. Take too much away: git rm -r apps/shop, commit, push. The commit is held
     until you say go on the dashboard.

  And behind the agent's back, to see it repaired:
     kubectl%[3]s -n shop delete service web

  Ctrl-C ends everything.
`, f.Hub.URL, f.Repository, kubeconfig)
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}
