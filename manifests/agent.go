package manifests

import (
	"encoding/base64"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// DefaultNamespace is where agent and hub are installed unless told otherwise.
const DefaultNamespace = "navarch-system"

// AgentConfig is what the agent of one cluster needs to know. Namespace defaults to
// [DefaultNamespace], Image to that of the base; the rest is required.
type AgentConfig struct {
	Cluster     string
	Hub         []string // URLs of the hub's NATS, tried in any order
	HubKey      []byte   // ed25519 public key that announcements are signed with
	Credentials []byte   // NATS credentials of this cluster's agent
	CA          []byte   // PEM of the hub's certificate authority
	Image       string
	Namespace   string
}

// Agent returns the manifest of one cluster's agent. It holds a credential.
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
	return base.encode(fmt.Sprintf("The agent of cluster %q. It holds the credential of that cluster: keep it as you keep a password.", c.Cluster))
}

// Files returns the folder that the agent reads its configuration from.
func (c AgentConfig) Files() (map[string][]byte, error) {
	switch {
	case c.Cluster == "":
		return nil, errors.New("the agent's manifest needs the name of its cluster")
	case len(c.Hub) == 0:
		return nil, errors.New("the agent's manifest needs the URL of the hub")
	case len(c.HubKey) == 0 || len(c.Credentials) == 0 || len(c.CA) == 0:
		return nil, errors.New("the agent's manifest needs the hub's key, a credential and the hub's certificate authority")
	}
	settings, err := yaml.Marshal(struct {
		Cluster string   `yaml:"cluster"`
		Hub     []string `yaml:"hub,flow"`
		HubKey  string   `yaml:"hubKey"`
	}{c.Cluster, c.Hub, base64.StdEncoding.EncodeToString(c.HubKey)})
	if err != nil {
		return nil, fmt.Errorf("encode agent.yaml: %w", err)
	}
	return map[string][]byte{"agent.yaml": settings, "nats.creds": c.Credentials, "ca.crt": c.CA}, nil
}
