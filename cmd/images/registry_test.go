package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestPushToDistribution pushes to the registry that most others are made from. It has
// no list of what refers to an image, so that the bills of materials are found by the
// tag that OCI has for this.
func TestPushToDistribution(t *testing.T) {
	program := os.Getenv("NAVARCH_REGISTRY")
	if _, err := os.Stat(program); err != nil {
		t.Skip("NAVARCH_REGISTRY names no registry: make test builds it")
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	check(t, os.WriteFile(config, []byte("version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: "+dir+"}}\nhttp: {addr: '127.0.0.1:0'}\n"), 0o600))
	serve := exec.CommandContext(t.Context(), program, "serve", config)
	serve.Env = []string{"OTEL_TRACES_EXPORTER=none"}
	said, err := serve.StderrPipe()
	check(t, err)
	check(t, serve.Start())
	t.Cleanup(func() {
		_ = serve.Process.Kill() // it may have ended
		_ = serve.Wait()         // it was killed
	})
	for lines := bufio.NewScanner(said); lines.Scan(); {
		if found := regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`).FindStringSubmatch(lines.Text()); found != nil {
			go func() {
				for lines.Scan() { // it must not wait for somebody to read
				}
			}()
			pushAndPull(t, found[1])
			return
		}
	}
	t.Fatal("the registry does not say where it listens")
}
