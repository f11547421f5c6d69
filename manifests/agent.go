package manifests

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"

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
	// Namespaces are the only ones that the agent gets rights in, beside its own. None: it
	// is an administrator of its cluster.
	Namespaces []string
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
	if err := c.limit(&base); err != nil {
		return nil, err
	}
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
	kustomization := &kustomization{
		APIVersion: "kustomize.config.k8s.io/v1beta1", Kind: "Kustomization",
		Resources:       []string{"namespace.yaml", "rbac.yaml", "cluster-admin.yaml", "deployment.yaml"},
		SecretGenerator: []generator{{Name: "navarch-agent", Namespace: cmp.Or(c.Namespace, DefaultNamespace), Files: names}},
	}
	if len(c.Namespaces) > 0 {
		kustomization.Resources[2] = "namespaces.yaml"
	}
	for _, name := range kustomization.Resources {
		if all[name], err = c.resource(name); err != nil {
			return nil, err
		}
	}
	if parts, ok := cutImage(c.Image); ok {
		parts.Name = "ghcr.io/navarch/navarch-agent" // as the base has it
		kustomization.Images = []image{parts}
	}
	all["kustomization.yaml"], err = yaml.Marshal(kustomization)
	return all, err
}

// resource returns one file of the agent's base, moved to its namespace.
func (c AgentConfig) resource(name string) ([]byte, error) {
	var objects base
	var err error
	if name == "namespaces.yaml" {
		objects, err = c.rights()
	} else if objects, err = readFile("agent/" + name); err == nil {
		objects.move(c.Namespace)
	}
	if err != nil {
		return nil, err
	}
	return objects.encode("")
}

// kustomization is what a base of ours says, in kustomize's words.
type kustomization struct {
	APIVersion      string      `yaml:"apiVersion"`
	Kind            string      `yaml:"kind"`
	Resources       []string    `yaml:"resources"`
	Images          []image     `yaml:"images,omitempty"`
	SecretGenerator []generator `yaml:"secretGenerator"`
}

type generator struct {
	Name      string   `yaml:"name"`
	Namespace string   `yaml:"namespace"`
	Files     []string `yaml:"files,flow"`
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
		Cluster    string   `yaml:"cluster"`
		Hub        []string `yaml:"hub,flow"`
		HubKey     string   `yaml:"hubKey"`
		Namespaces []string `yaml:"namespaces,flow,omitempty"`
	}{c.Cluster, c.Hub, base64.StdEncoding.EncodeToString(c.HubKey), c.Namespaces})
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
