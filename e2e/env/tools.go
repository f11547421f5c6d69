package env

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Tools are the programs that an environment is made of.
type Tools struct {
	Hub, Agent, Navarch string
	// Decrypt is what the agent decrypts with. It lies beside it.
	Decrypt string
	// NATS is the stock nats-server; empty where there is none.
	NATS string
	// Prometheus is the stock server; empty where there is none.
	Prometheus string
	// Localcluster starts member clusters. Kustomize is the stock tool; empty where
	// there is none.
	Localcluster, Kustomize string
}

// Build builds our own programs into dir and finds the others: localcluster by
// NAVARCH_LOCALCLUSTER, kustomize by NAVARCH_KUSTOMIZE and Prometheus by
// NAVARCH_PROMETHEUS, as make sets them.
func Build(ctx context.Context, dir string) (Tools, error) {
	t := Tools{
		Hub:          filepath.Join(dir, "navarch-hub"),
		Agent:        filepath.Join(dir, "navarch-agent"),
		Decrypt:      filepath.Join(dir, "navarch-decrypt"),
		Navarch:      filepath.Join(dir, "navarch"),
		NATS:         filepath.Join(dir, "nats-server"),
		Localcluster: os.Getenv("NAVARCH_LOCALCLUSTER"),
		Kustomize:    os.Getenv("NAVARCH_KUSTOMIZE"),
		Prometheus:   os.Getenv("NAVARCH_PROMETHEUS"),
	}
	if _, err := os.Stat(t.Localcluster); t.Localcluster == "" || err != nil {
		return Tools{}, errors.New("there is no localcluster to start members with: run `make members` and set NAVARCH_LOCALCLUSTER, or use make")
	}
	const ours = "github.com/navarch/navarch/cmd/"
	packages := map[string]string{t.Hub: ours + "hub", t.Agent: ours + "agent", t.Navarch: ours + "navarch", t.NATS: "github.com/nats-io/nats-server/v2"}
	for name, pkg := range packages {
		build := exec.CommandContext(ctx, "go", "build", "-o", name, pkg)
		if out, err := build.CombinedOutput(); err != nil {
			return Tools{}, fmt.Errorf("build %s: %w\n%s", pkg, err, out)
		}
	}
	return t, t.BuildDecrypt(ctx)
}

// BuildDecrypt builds the program that is a module of its own, with the flags that make
// builds it with, so that what is compiled once is good for both.
func (t Tools) BuildDecrypt(ctx context.Context) error {
	folder, err := decryptFolder(ctx)
	if err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-C", folder, "-trimpath", "-ldflags", "-s -w", "-o", t.Decrypt, ".")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build navarch-decrypt: %w\n%s", err, out)
	}
	return nil
}

// Installed returns the programs that make has built into dir.
func Installed(dir string) (Tools, error) {
	t := Tools{
		Hub:          filepath.Join(dir, "navarch-hub"),
		Agent:        filepath.Join(dir, "navarch-agent"),
		Decrypt:      filepath.Join(dir, "navarch-decrypt"),
		Navarch:      filepath.Join(dir, "navarch"),
		Localcluster: filepath.Join(dir, "localcluster"),
	}
	for _, program := range []string{t.Hub, t.Agent, t.Decrypt, t.Navarch, t.Localcluster} {
		if _, err := os.Stat(program); err != nil {
			return Tools{}, fmt.Errorf("find %s: %w (run `make build members`)", filepath.Base(program), err)
		}
	}
	return t, nil
}
