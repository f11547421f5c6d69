package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/navarch/navarch/e2e/env"
)

var memberNames = []string{"one", "two", "three"}

// settings are what a person says on the command line.
type settings struct {
	bin     string
	seed    uint64
	length  time.Duration // of the faults
	settle  time.Duration // bound of what comes after them
	commits int
	log     *slog.Logger
}

func main() {
	log.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard()) // API servers that die are no news here
	s := settings{log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	var minutes float64
	flag.StringVar(&s.bin, "bin", "bin", "folder with the programs that make built")
	flag.Uint64Var(&s.seed, "seed", 0, "decides the commits and the faults; 0: a random one")
	flag.Float64Var(&minutes, "minutes", 3, "how long to break things")
	flag.IntVar(&s.commits, "commits", 50, "how many commits land meanwhile")
	flag.DurationVar(&s.settle, "settle", 3*time.Minute, "how long the fleet may take to equal Git once nothing breaks any more")
	flag.Parse()
	s.length = time.Duration(minutes * float64(time.Minute))
	if s.seed == 0 {
		s.seed = rand.Uint64N(1_000_000) + 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fmt.Printf("seed %d: %d commits in %s\n", s.seed, s.commits, s.length)
	if err := run(ctx, s); err != nil {
		fmt.Fprintf(os.Stderr, "Error: %v\nthe same again: go run ./e2e/chaos --seed %d --minutes %g --commits %d\n", err, s.seed, minutes, s.commits)
		os.Exit(1) //nolint:gocritic // the process ends; there is no signal left to stop
	}
	fmt.Println("every member equals Git")
}

func run(ctx context.Context, s settings) (err error) {
	tools, err := env.Installed(s.bin)
	if err != nil {
		return err
	}
	if tools.Kustomize = os.Getenv("NAVARCH_KUSTOMIZE"); tools.Kustomize == "" {
		return errors.New("there is no kustomize to compare with: set NAVARCH_KUSTOMIZE, or use make chaos")
	}
	dir, err := os.MkdirTemp("", "navarch-chaos-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\nthe logs are in %s", err, dir)
			return
		}
		err = os.RemoveAll(dir)
	}()
	members, err := env.StartMembers(ctx, tools, filepath.Join(dir, "members"), memberNames...)
	if err != nil {
		return err
	}
	defer func() {
		for _, member := range members {
			err = errors.Join(err, member.Stop())
		}
	}()
	links := map[string]*proxy{}
	defer func() {
		for _, link := range links {
			link.Close()
		}
	}()
	f, err := env.StartFleet(ctx, env.FleetConfig{
		Tools: tools, Members: members, Dir: filepath.Join(dir, "fleet"),
		Route: func(cluster, address string) (string, error) {
			link, err := listen(address)
			if err != nil {
				return "", err
			}
			links[cluster] = link
			return link.Address(), nil
		},
	})
	if err != nil {
		return err
	}
	defer f.Stop()
	return newRun(s, f, links, dir).play(ctx)
}
