package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/navarch/navarch/e2e/env/gitserver"
)

// TestInstalledHubRuns lays out the Secrets of a hub's manifest as a node does and runs
// the hub with the manifest's arguments: it fetches over SSH, takes the commit that is
// signed, and knows people by the access file's folder and by their tokens.
func TestInstalledHubRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	dir := t.TempDir()
	t.Chdir(dir)
	must := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
	}
	write := func(name, content string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	key, served := serveFleet(t, dir, must)
	write("known_hosts", served.KnownHosts())
	write("people/oidc-secret", "hush")
	write("people/people.yaml", "url: http://127.0.0.1:8080\noidc: {issuer: \"https://login.example.com\", clientID: navarch, clientSecretFile: oidc-secret}\n")
	manifest, stderr, code := navarch(t, "install", "hub", "--repo", served.URL("fleet"), "--host", "127.0.0.1", "--identity", "identity",
		"--git-ssh-key-file", key, "--git-known-hosts-file", "known_hosts", "--verify", "commits", "--verify-keys", key+".pub", "--access", "people/people.yaml")
	if code != exitOK {
		t.Fatal(stderr)
	}
	args, address := layOut(t, manifest, filepath.Join(dir, "pod"))
	program := filepath.Join(dir, "navarch-hub")
	must("go", "build", "-C", sourceDir, "-o", program, "./cmd/hub")
	hub := exec.CommandContext(t.Context(), program, args...)
	var log bytes.Buffer
	hub.Stderr = &log
	hub.Cancel, hub.WaitDelay = func() error { return hub.Process.Signal(os.Interrupt) }, 10*time.Second
	if err := hub.Start(); err != nil {
		t.Fatal(err)
	}
	var exit error // to be read after ended
	ended := make(chan struct{})
	go func() { exit = hub.Wait(); close(ended) }()
	t.Cleanup(func() { <-ended }) // the test's context has ended, and with it the hub
	token, stderr, code := navarch(t, "token", "access", "--name", "ada", "--identity", "identity")
	if code != exitOK {
		t.Fatal(stderr)
	}
	write("token", token)
	var said string
	deadline := time.After(time.Minute)
	for tick := time.NewTicker(50 * time.Millisecond); !strings.Contains(said, "hello"); {
		select {
		case <-tick.C:
			said, stderr, _ = navarch(t, "status", "--hub", "http://"+address, "--token-file", "token")
		case <-ended:
			t.Fatalf("the hub has ended: %v\n%s", exit, log.String())
		case <-deadline:
			t.Fatalf("the hub does not say what it deploys: %s%s", said, stderr)
		}
	}
	if _, stderr, code := navarch(t, "status", "--hub", "http://"+address); code != exitProblem || !strings.Contains(stderr, "sign in") {
		t.Errorf("without a token: %d %s", code, stderr)
	}
}

// sourceDir is the top of the repository, before anybody goes elsewhere.
var sourceDir, _ = filepath.Abs("../..")

// serveFleet serves a fleet repository by ssh, with one commit, which is signed. Who
// signs it also fetches.
func serveFleet(t *testing.T, dir string, must func(string, ...string)) (key string, served *gitserver.SSH) {
	t.Helper()
	server, err := gitserver.Start(filepath.Join(dir, "git"))
	if err != nil {
		t.Fatal(err)
	}
	url, err := server.Create("fleet")
	if err != nil {
		t.Fatal(err)
	}
	if served, err = server.ServeSSH(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(served.Close(), server.Close()); err != nil {
			t.Error(err)
		}
	})
	key, line, err := gitserver.MakeKey(dir, "deploy")
	if err != nil {
		t.Fatal(err)
	}
	if err := served.Admit(line); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := navarch(t, "init", "fleet"); code != exitOK {
		t.Fatal(stderr)
	}
	must("git", "-C", "fleet", "init", "--quiet", "-b", "main")
	must("git", "-C", "fleet", "add", ".")
	must("git", "-C", "fleet", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "gpg.format=ssh", "-c", "user.signingKey="+key+".pub",
		"commit", "--quiet", "-S", "-m", "Begin the fleet")
	must("git", "-C", "fleet", "push", "--quiet", url, "main")
	return key, served
}

// layOut writes what a pod of the manifest finds under a folder, and returns its
// arguments with the paths there, and the address of its dashboard.
func layOut(t *testing.T, manifest, root string) (args []string, address string) {
	t.Helper()
	secrets, set := map[string]corev1.Secret{}, appsv1.StatefulSet{}
	for reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(manifest))); ; {
		object, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var secret corev1.Secret
		if err == nil {
			err = yaml.Unmarshal(object, &secret)
		}
		if err == nil && secret.Kind == "StatefulSet" {
			err = yaml.Unmarshal(object, &set)
		}
		if err != nil {
			t.Fatal(err)
		}
		if secret.Kind == "Secret" {
			secrets[secret.Name] = secret
		}
	}
	pod := set.Spec.Template.Spec
	for _, mount := range pod.Containers[0].VolumeMounts {
		folder := filepath.Join(root, mount.MountPath)
		err := os.MkdirAll(filepath.Join(folder, "..data"), 0o700)
		for _, v := range pod.Volumes {
			if v.Name != mount.Name {
				continue
			}
			for name, content := range secrets[v.Secret.SecretName].StringData { // as links into a folder that is hidden
				err = errors.Join(err, os.WriteFile(filepath.Join(folder, "..data", name), []byte(content), os.FileMode(*v.Secret.DefaultMode)),
					os.Symlink(filepath.Join("..data", name), filepath.Join(folder, name)))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	address = freeAddress(t)
	paths := strings.NewReplacer("=/etc/", "="+root+"/etc/", "=/var/", "="+root+"/var/", "--listen=:8080", "--listen="+address, "--nats-listen=:4222", "--nats-listen="+freeAddress(t))
	for _, arg := range pod.Containers[0].Args {
		args = append(args, paths.Replace(arg))
	}
	return args, address
}

// freeAddress is one of loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
