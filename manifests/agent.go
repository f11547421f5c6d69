package manifests

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// DefaultNamespace is where agent and hub are installed unless told otherwise.
const DefaultNamespace = "navarch-system"

// AgentConfig is what the agent of one cluster needs to know. Namespace defaults to
// [DefaultNamespace], Image to that of the base, Proxy and NoProxy to none; the rest is
// required.
type AgentConfig struct {
	Cluster   string
	Hub       []string // URLs of the hub's NATS, tried in any order
	HubKey    []byte   // ed25519 public key that announcements are signed with
	Token     string   // that this cluster joins with
	Door      []byte   // NATS credentials that are good for asking to join, and nothing else
	CA        []byte   // PEM of the hub's certificate authority
	Image     string
	Namespace string
	Proxy     string // URL of an HTTP proxy on the way to the hub
	NoProxy   string // what NO_PROXY says beside it
}

// AgentImage returns the image of an agent of a version.
func AgentImage(version string) string {
	if version == "" || version == "dev" {
		version = "latest"
	}
	return "ghcr.io/navarch/navarch-agent:" + version
}

// Agent returns the manifest of one cluster's agent. It holds a token.
func Agent(c AgentConfig) ([]byte, error) {
	content, err := c.Files()
	if err != nil {
		return nil, err
	}
	base, err := readBase("agent")
	if err != nil {
		return nil, err
	}
	edits := []edit{
		{"Deployment", "navarch-agent", "spec.template.spec.containers.0.image", c.Image},
		{"Deployment", "navarch-agent", "spec.template.metadata.annotations", configAnnotation(content)},
	}
	if c.Image == "" {
		edits = edits[1:]
	}
	if err := base.apply(edits); err != nil {
		return nil, err
	}
	if err := base.add(secret("navarch-agent", "navarch-agent", content)); err != nil {
		return nil, err
	}
	base.move(c.Namespace)
	return base.encode(fmt.Sprintf("The agent of cluster %q. It holds a token that is good for joining as that cluster, once: until it is used, keep it as you keep a password.", c.Cluster))
}

// AgentBase returns the files of a kustomize base for one cluster's agent, by name.
// Its Secret is made from files, so that they can be replaced. The file "token"
// may be emptied once the cluster has joined.
func AgentBase(c AgentConfig) (map[string][]byte, error) {
	all, err := c.Files()
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(all))
	entries, err := fs.Glob(files, "agent/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if all[path.Base(entry)], err = files.ReadFile(entry); err != nil {
			return nil, err
		}
	}
	kustomization := &kustomization{
		APIVersion: "kustomize.config.k8s.io/v1beta1", Kind: "Kustomization", Namespace: cmp.Or(c.Namespace, DefaultNamespace),
		Resources:       []string{"namespace.yaml", "rbac.yaml", "deployment.yaml"},
		SecretGenerator: []generator{{Name: "navarch-agent", Files: names}},
	}
	if name, tag, ok := cutTag(c.Image); ok {
		kustomization.Images = []image{{Name: "ghcr.io/navarch/navarch-agent", NewName: name, NewTag: tag}}
	}
	all["kustomization.yaml"], err = yaml.Marshal(kustomization)
	return all, err
}

// kustomization is what a base of ours says, in kustomize's words.
type kustomization struct {
	APIVersion      string      `yaml:"apiVersion"`
	Kind            string      `yaml:"kind"`
	Namespace       string      `yaml:"namespace"`
	Resources       []string    `yaml:"resources"`
	Images          []image     `yaml:"images,omitempty"`
	SecretGenerator []generator `yaml:"secretGenerator"`
}

type image struct {
	Name    string `yaml:"name"`
	NewName string `yaml:"newName"`
	NewTag  string `yaml:"newTag"`
}

type generator struct {
	Name  string   `yaml:"name"`
	Files []string `yaml:"files,flow"`
}

// cutTag splits an image at its tag; a colon before a slash is that of a port.
func cutTag(image string) (name, tag string, ok bool) {
	i := strings.LastIndexByte(image, ':')
	if i < 0 || strings.Contains(image[i:], "/") || strings.Contains(image, "@") {
		return image, "", false
	}
	return image[:i], image[i+1:], true
}

// Files returns the folder that the agent reads its configuration from.
func (c AgentConfig) Files() (map[string][]byte, error) {
	switch {
	case c.Cluster == "":
		return nil, errors.New("the agent's manifest needs the name of its cluster")
	case len(c.Hub) == 0:
		return nil, errors.New("the agent's manifest needs the URL of the hub")
	case len(c.HubKey) == 0 || c.Token == "" || len(c.Door) == 0 || len(c.CA) == 0:
		return nil, errors.New("the agent's manifest needs the hub's key, a token with its door and the hub's certificate authority")
	}
	settings, err := yaml.Marshal(struct {
		Cluster string   `yaml:"cluster"`
		Hub     []string `yaml:"hub,flow"`
		HubKey  string   `yaml:"hubKey"`
	}{c.Cluster, c.Hub, base64.StdEncoding.EncodeToString(c.HubKey)})
	if err != nil {
		return nil, fmt.Errorf("encode agent.yaml: %w", err)
	}
	content := map[string][]byte{"agent.yaml": settings, "token": []byte(c.Token), "door.creds": c.Door, "ca.crt": c.CA}
	if c.Proxy != "" { // it may hold a password, as the Secret may
		content["https-proxy"] = []byte(c.Proxy)
	}
	if c.NoProxy != "" {
		content["no-proxy"] = []byte(c.NoProxy)
	}
	return content, nil
}
