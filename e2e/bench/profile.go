package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
)

// profiledSeconds is how long the CPU of a scenario is looked at, from its beginning.
const profiledSeconds = "10"

// profile begins to take profiles of the hub and of one agent, if they are wanted. What
// it returns takes those of their memory, and returns when all are written.
func (b *bench) profile(ctx context.Context, scenario string) (done func() error) {
	if b.profiles == "" {
		return func() error { return nil }
	}
	programs := map[string]string{"hub": b.fleet.Hub.Pprof, "agent": b.fleet.Agents[b.fleet.Members[0].Name].Pprof}
	file := filepath.Join(b.profiles, strings.NewReplacer(" ", "-", "'", "", ":", "").Replace(scenario))
	group, ctx := errgroup.WithContext(ctx)
	for name, url := range programs {
		group.Go(func() error {
			err := download(ctx, url+"profile?seconds="+profiledSeconds, file+"-"+name+"-cpu.pprof")
			if err != nil { // a program that is started again has no such profile
				fmt.Fprintf(os.Stderr, "no profile of the CPU of the %s: %v\n", name, err)
			}
			return nil
		})
	}
	return func() error {
		for name, url := range programs {
			group.Go(func() error { return download(ctx, url+"heap?gc=1", file+"-"+name+"-heap.pprof") })
		}
		return group.Wait()
	}
}

func download(ctx context.Context, url, file string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return os.WriteFile(file, content, 0o600)
}
