package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/navarch/navarch/e2e/env"
)

// options are the flags.
type options struct {
	bin          string
	only         map[scenarioName]bool // empty: all
	rounds, bulk int
	idle         time.Duration
	compare      string // name of a rival; empty: none
	profiles     string // folder; empty: none are taken
}

func main() {
	log.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard()) // watches that end with their member are no news
	o, err := parse(os.Args[1:])
	if err != nil {
		os.Exit(2) // the flags have said why
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1) //nolint:gocritic // the process ends; there is no signal left to stop
	}
}

func parse(args []string) (options, error) {
	o := options{only: map[scenarioName]bool{}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.bin, "bin", "bin", "folder with the programs that make built")
	flags.IntVar(&o.rounds, "rounds", 30, "how often to change one app")
	flags.IntVar(&o.bulk, "bulk", 5, "how often to change all apps")
	flags.DurationVar(&o.idle, "idle", time.Minute, "how long to look at a fleet in which nothing happens")
	flags.StringVar(&o.profiles, "profile", "", "folder for profiles of the hub and of one agent, by scenario")
	flags.Func("only", "comma-separated scenarios; default all: "+strings.Join(scenarioNames(), ", "), func(names string) error {
		for name := range strings.SplitSeq(names, ",") {
			if !isScenario(scenarioName(name)) {
				return fmt.Errorf("no scenario %q", name)
			}
			o.only[scenarioName(name)] = true
		}
		return nil
	})
	flags.Func("compare", "who else is to apply the same objects: kubectl or ssa", func(name string) error {
		if rivals[name] == nil {
			return fmt.Errorf("nobody is called %q", name)
		}
		o.compare = name
		return nil
	})
	return o, flags.Parse(args)
}

func run(ctx context.Context, o options) error {
	tools, err := env.Installed(o.bin)
	if err != nil {
		return err
	}
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o755); err != nil {
			return err
		}
	}
	var results []measurement
	for _, s := range stages {
		if !s.wanted(o.only) {
			continue
		}
		taken, err := s.run(ctx, tools, o)
		results = append(results, taken...)
		if err != nil {
			return err
		}
	}
	fmt.Print(table(results))
	for _, m := range results {
		line, err := json.Marshal(m)
		if err != nil {
			return err
		}
		fmt.Println(string(line))
	}
	return nil
}

// run starts the stage's fleet, measures its scenarios, and ends everything.
func (s stage) run(ctx context.Context, tools env.Tools, o options) ([]measurement, error) {
	dir, err := os.MkdirTemp("", "navarch-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	members, err := env.StartMembers(ctx, tools, filepath.Join(dir, "members"), s.members...)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, member := range members {
			if err := member.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}()
	f, err := env.StartFleet(ctx, env.FleetConfig{Tools: tools, Members: members, Dir: filepath.Join(dir, "fleet"), Pprof: o.profiles != ""})
	if err != nil {
		return nil, err
	}
	defer f.Stop()
	ctx, cancel := context.WithCancel(ctx) // ends the watches before their members
	defer cancel()
	b, err := newBench(ctx, f, dir, s.apps, o)
	if err != nil {
		return nil, err
	}
	for i, scenario := range s.scenarios {
		if i > 0 && len(o.only) > 0 && !o.only[scenario.name] {
			continue
		}
		if err := scenario.run(b, ctx); err != nil {
			return b.results, fmt.Errorf("%s: %w\n%s", scenario.name, err, f.Describe())
		}
	}
	return b.results, nil
}
