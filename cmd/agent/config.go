package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/navarch/navarch/agent"
	"github.com/navarch/navarch/fleet"
)

const renderAgain = "render the manifest again with `navarch token create`"

// readConfig reads what the install manifest's Secret holds. An error changes nothing.
func readConfig(c *agent.Config, dir string) error {
	next := *c
	read := func(name string) ([]byte, error) {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("read the agent's configuration: %w (%s)", err, renderAgain)
		}
		return content, nil
	}
	content, err := read("agent.yaml")
	if err != nil {
		return err
	}
	if err := decodeConfig(&next, content); err != nil {
		return fmt.Errorf("read %s: %w", filepath.Join(dir, "agent.yaml"), err)
	}
	if next.Door, err = read("door.creds"); err != nil {
		return err
	}
	token, err := read("token")
	if err != nil {
		return err
	}
	next.Token = strings.TrimSpace(string(token))
	if next.CA, err = read("ca.crt"); err != nil {
		return err
	}
	*c = next
	return nil
}

// said is agent.yaml.
type said struct {
	Cluster string   `json:"cluster"`
	Hub     []string `json:"hub"`
	HubKey  string   `json:"hubKey"`
	// Namespaces that the agent has rights in; none: the whole cluster.
	Namespaces []string `json:"namespaces,omitempty"`
}

// decodeConfig takes in agent.yaml. An error changes nothing.
func decodeConfig(c *agent.Config, content []byte) error {
	var s said
	if err := yaml.UnmarshalStrict(content, &s); err != nil {
		return fmt.Errorf("%w (%s)", err, renderAgain)
	}
	cluster, err := fleet.ParseClusterName(s.Cluster)
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	if len(s.Hub) == 0 {
		return fmt.Errorf("hub: no URL given (%s)", renderAgain)
	}
	key, err := base64.StdEncoding.DecodeString(s.HubKey)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("hubKey: want %d bytes in base64 (%s)", ed25519.PublicKeySize, renderAgain)
	}
	for i, namespace := range s.Namespaces { // an empty one would be all of them
		if len(validation.IsDNS1123Label(namespace)) > 0 {
			return fmt.Errorf("namespaces[%d]: %q is no name of a namespace (%s)", i, namespace, renderAgain)
		}
	}
	c.Cluster, c.Hub, c.HubKey, c.Namespaces = cluster, s.Hub, key, s.Namespaces
	return nil
}
