package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// TestMain lets the test binary be the parts of the clusters that it starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "part" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestLife brings a cluster up, uses it, breaks it, restarts it and takes it down.
func TestLife(t *testing.T) {
	l, cfg := newLauncher(t), upConfig{nodes: 1, kwok: kwokProgram(t), timeout: time.Minute}
	ctx := t.Context()
	c, err := l.up(ctx, "life", cfg)
	if err != nil {
		t.Fatal(err)
	}
	client := connect(t, c, rest.Config{})
	pids := pidsOf(t, c)

	if _, err := client.AppsV1().Deployments("default").Create(ctx, deployment("web", 3), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	waitForReplicas(t, client, "web", 3)
	checkServiceAccount(t, c, client)

	if err := l.stopPart(ctx, "life", apiServer, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if living, err := c.living(); err != nil || slices.Contains(living, apiServer) {
		t.Errorf("after stopping %s these are alive: %v, %v", apiServer, living, err)
	}
	if err := l.startPart(ctx, "life", apiServer); err != nil {
		t.Fatal(err)
	}
	if _, err := l.up(ctx, "life", cfg); err != nil { // only waits
		t.Fatal(err)
	}
	if got := pidsOf(t, c); got[etcd] != pids[etcd] || got[apiServer] == pids[apiServer] {
		t.Errorf("process numbers after a restart of %s: %v, before: %v", apiServer, got, pids)
	}

	if err := l.down(ctx, "life", true); err != nil {
		t.Fatal(err)
	}
	if living, err := c.living(); err != nil || len(living) > 0 {
		t.Errorf("after down --keep these are alive: %v, %v", living, err)
	}
	if c, err = l.up(ctx, "life", cfg); err != nil {
		t.Fatal(err)
	}
	scale(t, client, "web", 5) // the same client: same port, same keys
	waitForReplicas(t, client, "web", 5)

	pids = pidsOf(t, c)
	if err := l.down(ctx, "life", false); err != nil {
		t.Fatal(err)
	}
	checkNothingLeft(t, c, pids)
}

// TestPartThatDies starts a cluster whose kwok ends at once.
func TestPartThatDies(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	program := filepath.Join(t.TempDir(), "kwok")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho no flag of that name\nexit 2\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	l := newLauncher(t)
	var stderr strings.Builder
	l.stderr = &stderr
	_, err := l.up(t.Context(), "short", upConfig{nodes: 1, kwok: program, timeout: time.Minute})
	c := &cluster{dir: filepath.Join(l.root, "short")}
	if err == nil || !strings.Contains(err.Error(), c.log(kwok)) {
		t.Errorf("error %q does not name the log of the part that died", err)
	}
	if !strings.Contains(stderr.String(), "short: kwok: no flag of that name\n") {
		t.Errorf("the end of the log is not shown:\n%s", stderr.String())
	}
	if living, err := c.living(); err != nil || len(living) > 0 {
		t.Errorf("these are still alive: %v, %v", living, err)
	}
}

// TestInterruptedUp interrupts the start of a cluster when its first part runs.
func TestInterruptedUp(t *testing.T) {
	l := newLauncher(t)
	ctx, interrupt := context.WithCancel(t.Context())
	c := &cluster{dir: filepath.Join(l.root, "brief")}
	pids := make(map[string]int)
	go func() {
		defer interrupt()
		_ = wait.PollUntilContextCancel(ctx, time.Millisecond, true, func(context.Context) (bool, error) {
			pid, err := c.pid(etcd)
			pids[etcd] = pid
			return err == nil, nil
		})
	}()
	_, err := l.up(ctx, "brief", upConfig{nodes: 1, kwok: kwokProgram(t), timeout: time.Minute})
	if !errors.Is(err, errInterrupted) && !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
	checkNothingLeft(t, c, pids)
}

func TestForeignFolder(t *testing.T) {
	l := newLauncher(t)
	precious := filepath.Join(l.root, "photos", "precious")
	if err := os.MkdirAll(filepath.Dir(precious), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := l.up(t.Context(), "photos", upConfig{kwok: "true", timeout: time.Minute}); err == nil {
		t.Error("up took a folder that is not a cluster's")
	}
	if err := l.down(t.Context(), "photos", false); err == nil {
		t.Error("down removed a folder that is not a cluster's")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

func TestCheckName(t *testing.T) {
	valid := map[string]bool{
		"eu-1": true, "a": true, "1": true, strings.Repeat("a", 40): true,
		"": false, ".": false, "..": false, "a/b": false, "-a": false, "a-": false, "A": false, strings.Repeat("a", 41): false,
	}
	got := make(map[string]bool, len(valid))
	for name := range valid {
		got[name] = checkName(name) == nil
	}
	if diff := cmp.Diff(valid, got); diff != "" {
		t.Errorf("valid names (-want +got):\n%s", diff)
	}
}

func newLauncher(t *testing.T) *launcher {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l := &launcher{root: t.TempDir(), self: self, stderr: t.Output()}
	t.Cleanup(func() { // for a test that failed half way
		clusters, _ := os.ReadDir(l.root)
		for _, entry := range clusters {
			c := &cluster{dir: filepath.Join(l.root, entry.Name())}
			if err := c.halt(syscall.SIGKILL, partNames...); err != nil {
				t.Error(err)
			}
		}
	})
	return l
}

// kwokProgram returns the kwok beside the localcluster that make has built, or
// builds one.
func kwokProgram(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	if built := os.Getenv("NAVARCH_LOCALCLUSTER"); built != "" {
		return filepath.Join(filepath.Dir(built), kwok)
	}
	dir := t.TempDir()
	version, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "sigs.k8s.io/kwok").Output()
	if err != nil {
		t.Fatal(err)
	}
	install := exec.Command("go", "install", "sigs.k8s.io/kwok/cmd/kwok@"+strings.TrimSpace(string(version)))
	install.Env = append(os.Environ(), "GOBIN="+dir)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("build kwok: %v\n%s", err, out)
	}
	return filepath.Join(dir, kwok)
}

// connect returns a client of the cluster; credentials replaces the admin's if it
// has any.
func connect(t *testing.T, c *cluster, credentials rest.Config) *kubernetes.Clientset {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig(admin))
	if err != nil {
		t.Fatal(err)
	}
	if credentials.BearerToken != "" {
		config = rest.AnonymousClientConfig(config)
		config.BearerToken = credentials.BearerToken
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// checkServiceAccount checks that tokens of ServiceAccounts are accepted, and give
// no rights that nobody granted.
func checkServiceAccount(t *testing.T, c *cluster, client *kubernetes.Clientset) {
	t.Helper()
	ctx := t.Context()
	token, err := client.CoreV1().ServiceAccounts("default").CreateToken(ctx, "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	account := connect(t, c, rest.Config{BearerToken: token.Status.Token})
	review, err := account.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := review.Status.UserInfo.Username, "system:serviceaccount:default:default"; got != want {
		t.Errorf("the token's user is %q, want %q", got, want)
	}
	if _, err := account.CoreV1().Secrets("default").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("reading Secrets without a role: %v", err)
	}
}

func deployment(name string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: name, Image: "example.com/" + name}}},
			},
		},
	}
}

func scale(t *testing.T, client *kubernetes.Clientset, name string, replicas int32) {
	t.Helper()
	deployments := client.AppsV1().Deployments("default")
	scale, err := deployments.GetScale(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	scale.Spec.Replicas = replicas
	if _, err := deployments.UpdateScale(t.Context(), name, scale, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func waitForReplicas(t *testing.T, client *kubernetes.Clientset, name string, want int32) {
	t.Helper()
	var got appsv1.DeploymentStatus
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		d, err := client.AppsV1().Deployments("default").Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			got = d.Status
		}
		return err == nil && got.ReadyReplicas == want, err
	})
	if err != nil {
		t.Fatalf("Deployment %q never had %d replicas that are ready: %v, status %+v", name, want, err, got)
	}
}

func pidsOf(t *testing.T, c *cluster) map[string]int {
	t.Helper()
	pids := make(map[string]int)
	for _, name := range c.parts() {
		pid, err := c.pid(name)
		if err != nil {
			t.Fatal(err)
		}
		pids[name] = pid
	}
	return pids
}

// checkNothingLeft checks that the processes and the folder are gone.
func checkNothingLeft(t *testing.T, c *cluster, pids map[string]int) {
	t.Helper()
	for name, pid := range pids {
		// The last trace of a process goes when it is reaped, a little after it ended.
		err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 5*time.Second, true, func(context.Context) (bool, error) {
			return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH), nil
		})
		if err != nil {
			t.Error(fmt.Errorf("%s, process %d, is still there: %w", name, pid, err))
		}
	}
	if _, err := os.Stat(c.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}
