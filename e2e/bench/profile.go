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

// profiledSeconds is how long the CPU is looked at in a scenario.
const profiledSeconds = "10"

// profiled is what is being written of the CPU of a scenario.
type profiled struct{ group errgroup.Group }

// programs returns where the hub and one agent serve their profiles.
func (b *bench) programs() map[string]string {
	return map[string]string{"hub": b.fleet.Hub.Pprof, "agent": b.fleet.Agents[b.fleet.Members[0].Name].Pprof}
}

// profileCPU begins to look at the CPU of the hub and of one agent, once a scenario and
// only where profiles are wanted.
func (b *bench) profileCPU(ctx context.Context, scenario string) {
	if b.profiles == "" || b.profiled != nil {
		return
	}
	b.profiled = &profiled{}
	for name, url := range b.programs() {
		b.profiled.group.Go(func() error {
			return download(ctx, url+"profile?seconds="+profiledSeconds, b.profileFile(scenario, name, "cpu"))
		})
	}
}

// profileHeap looks at the memory of the hub and of one agent, and returns when that
// and what was begun before is written.
func (b *bench) profileHeap(ctx context.Context, scenario string) error {
	if b.profiles == "" {
		return nil
	}
	for name, url := range b.programs() {
		if err := download(ctx, url+"heap", b.profileFile(scenario, name, "heap")); err != nil {
			return err
		}
	}
	begun := b.profiled
	b.profiled = nil
	if begun == nil {
		return nil
	}
	return begun.group.Wait()
}

func (b *bench) profileFile(scenario, program, what string) string {
	plain := strings.NewReplacer(" ", "-", "'", "", ":", "", ",", "").Replace(scenario)
	return filepath.Join(b.profiles, plain+"-"+program+"-"+what+".pprof")
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
