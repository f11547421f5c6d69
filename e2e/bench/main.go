package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
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

// namespace is where the measured apps are; the floor uses another.
const (
	namespace      = "measured"
	floorNamespace = "floor"
)

var memberNames = []string{"one", "two", "three"}

func main() {
	log.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard()) // watches that end with their member are no news
	bin := flag.String("bin", "bin", "folder with the programs that make built")
	rounds := flag.Int("rounds", 30, "how often to change one app")
	bulk := flag.Int("bulk", 5, "how often to change all apps")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, *rounds, *bulk); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1) //nolint:gocritic // the process ends; there is no signal left to stop
	}
}

func run(ctx context.Context, bin string, rounds, bulk int) error {
	tools, err := env.Installed(bin)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "navarch-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	members, err := env.StartMembers(ctx, tools, filepath.Join(dir, "members"), memberNames...)
	if err != nil {
		return err
	}
	defer func() {
		for _, member := range members {
			if err := member.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}()
	f, err := env.StartFleet(ctx, env.FleetConfig{Tools: tools, Members: members, Dir: filepath.Join(dir, "fleet")})
	if err != nil {
		return err
	}
	defer f.Stop()
	b, err := newBench(ctx, f)
	if err != nil {
		return err
	}
	var results []measurement
	for _, scenario := range []func(context.Context) (measurement, error){
		b.install,
		func(ctx context.Context) (measurement, error) { return b.changeOne(ctx, rounds) },
		func(ctx context.Context) (measurement, error) { return b.changeAll(ctx, bulk) },
		b.changeNothing,
		func(ctx context.Context) (measurement, error) { return b.repair(ctx, rounds) },
	} {
		m, err := scenario(ctx)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, f.Describe())
		}
		results = append(results, m)
		fmt.Fprintln(os.Stderr, m.summary())
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

// quiet is how long nobody may write before a scenario counts as over.
const quiet = 1500 * time.Millisecond
