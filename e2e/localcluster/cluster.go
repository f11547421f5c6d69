package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// cluster is one cluster and the folder that holds all of it. The exported fields
// are what cluster.json remembers; everything else follows from them.
type cluster struct {
	dir string

	Name string `json:"name"`
	// Port is the API server's, on loopback. It stays the same over restarts, so
	// that a kubeconfig stays valid.
	Port  int `json:"port"`
	Nodes int `json:"nodes"`
	// Kwok is the path of the kwok program.
	Kwok string `json:"kwok"`
	// Metrics is nil where the cluster does not measure what its nodes use.
	Metrics *measurement `json:"metrics,omitempty"`
}

// errNoCluster is returned for a name that has no cluster.
var errNoCluster = errors.New("no such cluster")

// stateFile is written first when a cluster is made, with port 0, and again when
// all else is there.
const stateFile = "cluster.json"

var validName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$`)

func checkName(name string) error {
	if validName.MatchString(name) {
		return nil
	}
	return fmt.Errorf("cluster name %q: use up to 40 of a-z, 0-9 and -, with a letter or digit at both ends", name)
}

// open reads the cluster name from its folder below root.
func open(root, name string) (*cluster, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	c := &cluster{dir: filepath.Join(root, name)}
	content, err := os.ReadFile(c.path(stateFile))
	if err == nil {
		err = json.Unmarshal(content, c)
	}
	if errors.Is(err, fs.ErrNotExist) || err == nil && c.Port == 0 {
		return nil, fmt.Errorf("cluster %q: %w in %s (`localcluster list` shows those there are)", name, errNoCluster, root)
	}
	if err != nil {
		return nil, fmt.Errorf("read cluster %q from %s: %w (`localcluster down` removes it)", name, c.path(stateFile), err)
	}
	return c, nil
}

// openAll reads all clusters below root, sorted by name.
func openAll(root string) ([]*cluster, error) {
	entries, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list clusters: %w", err)
	}
	var clusters []*cluster
	for _, entry := range entries {
		if !validName.MatchString(entry.Name()) {
			continue
		}
		c, err := open(root, entry.Name())
		if errors.Is(err, errNoCluster) { // it is being made or removed right now
			continue
		}
		if err != nil {
			return nil, err
		}
		clusters = append(clusters, c)
	}
	return clusters, nil
}

// create makes the files of a new cluster. What an interrupted create has left in
// the folder is made again.
func create(ctx context.Context, root string, c *cluster) error {
	c.dir = filepath.Join(root, c.Name)
	if err := c.checkFolder(); err != nil {
		return err
	}
	if err := c.save(); err != nil {
		return err
	}
	for _, dir := range []string{"pki", "kubeconfig", "run", "log"} {
		if err := os.MkdirAll(c.path(dir), 0o700); err != nil {
			return err
		}
	}
	// The ports of all clusters in root are known once nobody else picks one.
	unlock, err := lockDir(ctx, root)
	if err != nil {
		return err
	}
	defer unlock()
	others, err := openAll(root)
	if err != nil {
		return err
	}
	if err := c.pickPorts(others); err != nil {
		return err
	}
	if err := c.writeKeys(time.Now()); err != nil {
		return err
	}
	return c.configure()
}

// configure writes what this version of localcluster tells the parts, and
// cluster.json.
func (c *cluster) configure() error {
	if err := os.WriteFile(c.path("kwok.yaml"), c.kwokConfig(), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(c.path("audit-policy.yaml"), []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	return c.save()
}

// checkFolder returns an error if the folder is somebody else's.
func (c *cluster) checkFolder() error {
	entries, err := os.ReadDir(c.dir)
	if err != nil || len(entries) == 0 {
		return err
	}
	if _, err := os.Stat(c.path(stateFile)); err != nil {
		return fmt.Errorf("%s is not the folder of a cluster (choose another --dir or name)", c.dir)
	}
	return nil
}

// save writes cluster.json, whole or not at all.
func (c *cluster) save() error {
	content, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	draft := c.path(stateFile + ".new")
	if err := os.WriteFile(draft, append(content, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(draft, c.path(stateFile))
}

func (c *cluster) path(name string) string     { return filepath.Join(c.dir, name) }
func (c *cluster) key(name string) string      { return filepath.Join(c.dir, "pki", name) }
func (c *cluster) log(part string) string      { return filepath.Join(c.dir, "log", part+".log") }
func (c *cluster) lockFile(part string) string { return filepath.Join(c.dir, "run", part+".pid") }

// auditLog is the path of the record of what ServiceAccounts asked of the cluster.
func (c *cluster) auditLog() string { return filepath.Join(c.dir, "log", "audit.jsonl") }

// kubeconfig is the path of the kubeconfig of a user, which is a part or admin.
func (c *cluster) kubeconfig(user string) string {
	return filepath.Join(c.dir, "kubeconfig", user+".yaml")
}
