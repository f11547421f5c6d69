package manifests

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// webSocketPort is where the hub listens: it has no right to ports below 1024. Its
// Service has port 443.
const webSocketPort = 8443

// natsArgs says how agents reach NATS.
func (c HubConfig) natsArgs() ([]string, error) {
	switch {
	case c.NATSURL == "" && len(c.NATSCA) > 0:
		return nil, errors.New("a certificate authority of NATS has no meaning without the URL of its servers")
	case c.NATSURL != "" && c.WebSocket:
		return nil, errors.New("the hub offers WebSocket with its own NATS server only: servers of your own offer it themselves")
	case c.WebSocket && len(c.Hosts)+len(c.AgentURLs) == 0:
		return nil, errors.New("agents can use WebSocket only where the hub has a host that they reach it by")
	}
	var args []string
	urls := c.AgentURLs
	switch {
	case c.NATSURL != "":
		args = append(args, "--nats-url="+c.NATSURL)
	case c.WebSocket:
		args = append(args, fmt.Sprintf("--nats-websocket-listen=:%d", webSocketPort))
		for _, host := range c.Hosts {
			if len(c.AgentURLs) == 0 {
				urls = append(urls, "tls://"+net.JoinHostPort(host, "4222"), "wss://"+net.JoinHostPort(host, "443"))
			}
		}
	}
	if len(urls) > 0 {
		args = append(args, "--agent-urls="+strings.Join(urls, ","))
	}
	return args, nil
}

// port is one of a container, a Service or a NetworkPolicy, in their words.
type port struct {
	Name          string `yaml:"name,omitempty"`
	ContainerPort int    `yaml:"containerPort,omitempty"`
	Port          any    `yaml:"port,omitempty"`
	TargetPort    string `yaml:"targetPort,omitempty"`
}

// connect fits the objects of a hub to how agents reach NATS.
func (c HubConfig) connect(b *base) error {
	if c.NATSURL != "" {
		*b = slices.DeleteFunc(*b, func(o *yaml.Node) bool {
			return value(o, "kind") == "Service" && value(o, "metadata.name") == "navarch-hub-nats"
		})
		return nil
	}
	if !c.WebSocket {
		return nil
	}
	return b.apply([]edit{
		{"Service", "navarch-hub-nats", "spec.ports", []port{
			{Name: "nats", Port: 4222, TargetPort: "nats"}, {Name: "websocket", Port: 443, TargetPort: "websocket"},
		}},
		{"NetworkPolicy", "navarch-hub", "spec.ingress.0.ports", []port{{Port: "nats"}, {Port: "websocket"}}},
		{"StatefulSet", "navarch-hub", "spec.template.spec.containers.0.ports", []port{
			{Name: "http", ContainerPort: 8080}, {Name: "nats", ContainerPort: 4222}, {Name: "websocket", ContainerPort: webSocketPort},
		}},
	})
}
