package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

var errInterrupted = errors.New("interrupted")

// upConfig says what a cluster is to be like if it is new, and how long it may
// take to be ready.
type upConfig struct {
	nodes         int
	kwok          string
	metricsServer string // program; empty: the cluster does not measure what its nodes use
	timeout       time.Duration
}

// resolve checks cfg and makes the paths of programs absolute: they will not be
// started from the folder that we are in.
func (cfg *upConfig) resolve() error {
	if cfg.nodes < 0 {
		return fmt.Errorf("--nodes %d: give 0 or more", cfg.nodes)
	}
	var err error
	if cfg.kwok, err = find(cfg.kwok); err != nil {
		return fmt.Errorf("find kwok: %w (build.sh puts it beside localcluster; --kwok says where else it is)", err)
	}
	if cfg.metricsServer == "" {
		return nil
	}
	if cfg.metricsServer, err = find(cfg.metricsServer); err != nil {
		return fmt.Errorf("find metrics-server: %w (build.sh puts it beside localcluster)", err)
	}
	return nil
}

// find returns the absolute path of a program.
func find(name string) (string, error) {
	program, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(program)
}

// up makes the cluster run: a new one, one that was stopped, or what is missing of
// one that runs. If that fails, what it has started is stopped again; of a new
// cluster that was interrupted nothing is left, of one that failed the logs are.
func (l *launcher) up(ctx context.Context, name string, cfg upConfig) (*cluster, error) {
	if err := cfg.resolve(); err != nil {
		return nil, err
	}
	timed, cancel := context.WithTimeoutCause(ctx, cfg.timeout, fmt.Errorf("not ready within %s", cfg.timeout))
	defer cancel()
	unlock, err := l.lock(timed, name)
	if err != nil {
		return nil, fmt.Errorf("start cluster %q: %w", name, err)
	}
	defer unlock()
	c, made, err := l.openOrCreate(timed, name, cfg)
	if err != nil {
		return nil, fmt.Errorf("start cluster %q: %w", name, err)
	}
	before, err := c.living()
	if err != nil {
		return nil, err
	}
	b := &boot{cluster: c, self: l.self, say: l.sayer(name), began: time.Now()}
	err = b.run(timed, before)
	if err == nil {
		return c, nil
	}
	err = fmt.Errorf("start cluster %q: %w", name, err)
	started := slices.DeleteFunc(slices.Clone(partNames), func(part string) bool { return slices.Contains(before, part) })
	if haltErr := c.halt(syscall.SIGKILL, started...); haltErr != nil {
		return nil, errors.Join(err, haltErr)
	}
	if made && ctx.Err() != nil {
		return nil, errors.Join(err, os.RemoveAll(c.dir))
	}
	return nil, err
}

// openOrCreate opens a cluster, or makes one with the name; the caller has locked
// it.
func (l *launcher) openOrCreate(ctx context.Context, name string, cfg upConfig) (c *cluster, made bool, err error) {
	c, err = open(l.root, name)
	if errors.Is(err, errNoCluster) {
		c = &cluster{Name: name, Nodes: cfg.nodes, Kwok: cfg.kwok}
		if cfg.metricsServer != "" {
			c.Metrics = &measurement{Server: cfg.metricsServer}
		}
		return c, true, create(ctx, l.root, c)
	}
	if err != nil {
		return nil, false, err
	}
	if c.Nodes != cfg.nodes {
		l.sayer(name)("has %d nodes and keeps them: --nodes is for new clusters", c.Nodes)
	}
	switch measures := c.Metrics != nil; {
	case measures != (cfg.metricsServer != ""):
		l.sayer(name)("goes on as it was made: --metrics is for new clusters")
	case measures:
		c.Metrics.Server = cfg.metricsServer
	}
	c.Kwok = cfg.kwok
	return c, false, c.configure()
}

// boot is one start of a cluster.
type boot struct {
	*cluster
	self   string
	client kubernetes.Interface
	say    func(format string, args ...any)
	began  time.Time
	wanted []string // the parts that have to be alive by now
}

// run starts the parts that are not in living and waits until the cluster can be
// used.
func (b *boot) run(ctx context.Context, living []string) error {
	var err error
	if b.client, err = b.newClient(); err != nil {
		return err
	}
	if len(living) == len(b.parts()) {
		b.say("runs already, API at https://127.0.0.1:%d", b.Port)
	} else {
		b.say("starting, logs in %s", b.path("log"))
	}
	if err := b.start(ctx, living, etcd); err != nil {
		return err
	}
	if err := b.awaitEtcd(ctx); err != nil {
		return err
	}
	if err := b.start(ctx, living, apiServer); err != nil {
		return err
	}
	if err := b.await(ctx, b.apiReady); err != nil {
		return err
	}
	if len(living) < len(b.parts()) {
		b.say("API at https://127.0.0.1:%d ready after %.1fs", b.Port, time.Since(b.began).Seconds())
	}
	if err := b.start(ctx, living, controllerManager, schedulerPart, kwok); err != nil {
		return err
	}
	if err := b.createNodes(ctx, b.client); err != nil {
		return err
	}
	if b.Metrics != nil {
		if err := b.start(ctx, living, metricsServer); err != nil {
			return err
		}
		if err := b.serveMetrics(ctx, b.client); err != nil {
			return err
		}
	}
	if err := b.await(ctx, b.usable); err != nil {
		return err
	}
	if len(living) < len(b.parts()) {
		b.say("ready after %.1fs, nodes: %d", time.Since(b.began).Seconds(), b.Nodes)
	}
	return nil
}

// start starts those of the parts that are not in living.
func (b *boot) start(ctx context.Context, living []string, parts ...string) error {
	for _, name := range parts {
		b.wanted = append(b.wanted, name)
		if slices.Contains(living, name) {
			continue
		}
		if err := b.startPart(ctx, name, b.self, b.client); err != nil {
			return err
		}
	}
	return nil
}

// startPart starts a part that does not run.
func (c *cluster) startPart(ctx context.Context, name, self string, client kubernetes.Interface) error {
	var err error
	switch name {
	case apiServer:
		if err = checkPort(c.Port); err != nil {
			err = fmt.Errorf("%w (end the program that has the port, or make the cluster anew)", err)
		}
	case kwok:
		err = freeNodes(ctx, client)
	}
	if err == nil {
		err = c.launch(c.part(name, self))
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	return nil
}

// newClient returns a client with all rights.
func (c *cluster) newClient() (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig(admin))
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	config.Timeout = 10 * time.Second
	return kubernetes.NewForConfig(config)
}

// await calls check until it returns nil. It gives up when a part dies or ctx ends.
func (b *boot) await(ctx context.Context, check func(context.Context) error) error {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		for _, name := range b.wanted {
			if err := b.checkAlive(name); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return errInterrupted
			}
			return fmt.Errorf("%w: %w (logs are in %s)", context.Cause(ctx), err, b.path("log"))
		case <-tick.C:
		}
	}
}

// awaitEtcd waits until etcd serves: an API server that comes first finds nobody
// and sleeps a second.
func (b *boot) awaitEtcd(ctx context.Context) error {
	// The path of a socket may have a hundred bytes, the folder's may have more.
	dir, err := os.MkdirTemp("", "localcluster-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	short := filepath.Join(dir, "c")
	if err := os.Symlink(b.dir, short); err != nil {
		return err
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(short, socket))
		},
	}
	return b.await(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://etcd/readyz", nil)
		if err != nil {
			return err
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("etcd is not ready: %s", response.Status)
		}
		return nil
	})
}

// checkAlive returns an error if a part is dead, and shows the end of its log.
func (b *boot) checkAlive(name string) error {
	alive, err := b.alive(name)
	if alive || err != nil {
		return err
	}
	for _, line := range b.tail(name, 12) {
		b.say("%s: %s", name, line)
	}
	return fmt.Errorf("%s ended by itself (its log is %s)", name, b.log(name))
}

// apiReady returns nil when the API server has all that it makes at its start.
func (b *boot) apiReady(ctx context.Context) error {
	report, err := b.client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
	if err == nil {
		return nil
	}
	var lacks []string
	for line := range strings.Lines(string(report)) {
		if check, failed := strings.CutPrefix(line, "[-]"); failed {
			lacks = append(lacks, strings.Fields(check)[0])
		}
	}
	if len(lacks) > 0 {
		return fmt.Errorf("the API server lacks %s", strings.Join(lacks, ", "))
	}
	return err
}

// usable returns nil when pods can be made and scheduled.
func (b *boot) usable(ctx context.Context) error {
	ready, err := nodesReady(ctx, b.client)
	if err != nil {
		return err
	}
	if ready < b.Nodes {
		return fmt.Errorf("%d of %d nodes are ready", ready, b.Nodes)
	}
	_, err = b.client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err
}
