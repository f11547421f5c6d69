package hub

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/navarch/navarch/e2e/env/gitserver"
)

// TestLeavesNoGoroutine: nothing of a hub goes on after Run has returned, its
// connections included.
func TestLeavesNoGoroutine(t *testing.T) {
	server, err := gitserver.Start(t.TempDir())
	check(t, err)
	t.Cleanup(func() { check(t, server.Close()) })
	url, err := server.Create("fleet")
	check(t, err)
	dir := t.TempDir()
	before := map[string]bool{} // of other tests
	for _, stack := range goroutinesOf(hubPackages...) {
		before[number(stack)] = true
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	const listen = "127.0.0.1:0"
	started := make(chan string, 1)                                                                                             // where its pages are, as it logs
	log := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr { //nolint:sloglint // what is said is looked at
		if a.Key == "dashboard" {
			started <- a.Value.String()
		}
		return a
	}}))
	go func() {
		done <- Run(ctx, Config{
			Repository: Repository{URL: url}, Data: filepath.Join(dir, "data"), Identity: filepath.Join(dir, "identity"),
			Listen: listen, NATS: NATS{Listen: listen}, Log: log,
		})
	}()
	select {
	case address := <-started:
		answer, err := http.Get(address + "/healthz")
		check(t, err)
		check(t, answer.Body.Close())
		http.DefaultClient.CloseIdleConnections()
	case err := <-done:
		t.Fatal(err)
	case <-time.After(30 * time.Second):
		t.Fatal("the hub has not started")
	}
	if len(goroutinesOf(hubPackages...)) == len(before) {
		t.Fatal("a hub that runs has no goroutine: this test does not see them")
	}
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	var left []string
	for deadline := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		left = slices.DeleteFunc(goroutinesOf(hubPackages...), func(stack string) bool { return before[number(stack)] })
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("goroutines are left:\n" + strings.Join(left, "\n\n"))
		}
	}
}

// hubPackages are those whose goroutines end with the hub.
var hubPackages = []string{"navarch/navarch/hub.", "navarch/navarch/hub/", "nats-io/nats.go."}

// number returns "goroutine N" of a stack.
func number(stack string) string {
	begin, _, _ := strings.Cut(stack, " [")
	return strings.TrimSpace(begin)
}

// goroutinesOf returns the stacks of the goroutines, but for the one of the test, that
// are in one of some packages.
func goroutinesOf(packages ...string) []string {
	stacks := make([]byte, 8<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var found []string
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		for _, name := range packages {
			if strings.Contains(stack, name) && !strings.Contains(stack, "hub.TestLeavesNoGoroutine(") {
				found = append(found, stack)
				break
			}
		}
	}
	return found
}
