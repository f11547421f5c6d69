package natsconf

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// The ports of servers, unless told otherwise.
const (
	PortNATS      = 4222
	PortWebSocket = 443
	PortCluster   = 6222
)

// TrustName is the file that [Node.File] includes.
const TrustName = "navarch.conf"

// Trust is whom servers trust: the hub's identity, in public.
type Trust struct {
	Operator string            // JWT
	System   string            // public key of the account that is the servers' own
	Accounts map[string]string // JWTs by public key, that of System among them
}

// File returns the part of a server's configuration that says whom it trusts. It is the
// same for every node.
func (t Trust) File() ([]byte, error) {
	if t.Operator == "" || t.Accounts[t.System] == "" {
		return nil, errors.New("the identity has no operator or no system account")
	}
	var b strings.Builder
	b.WriteString("# Whom this server trusts. Made by `navarch nats init`; there is no secret in it.\n")
	b.WriteString("# Beside it the configuration needs \"jetstream\" and \"tls\".\n")
	fmt.Fprintf(&b, "operator: %s\n", t.Operator)
	fmt.Fprintf(&b, "system_account: %s\n", t.System)
	fmt.Fprintf(&b, "max_payload: %d\n", wire.MaxMessage)
	b.WriteString("resolver: MEMORY\nresolver_preload {\n")
	for _, key := range slices.Sorted(maps.Keys(t.Accounts)) {
		fmt.Fprintf(&b, "  %s: %s\n", key, t.Accounts[key])
	}
	b.WriteString("}\n")
	return []byte(b.String()), nil
}

// Node is one server. Name, Store, Certificate and Key are required. Where Peers names
// others than the node itself, they are a cluster.
type Node struct {
	Name        string
	Listen      string   // default every address at PortNATS
	WebSocket   string   // default none
	Store       string   // folder of the streams
	Certificate string   // file, PEM
	Key         string   // file, PEM
	Authority   string   // file, PEM: what the nodes of a cluster check each other's certificates against
	Cluster     string   // address for the other nodes; default every address at PortCluster
	Peers       []string // "host:port" of the nodes for each other
}

// MaxConnections is how many a server has: as many as the hub's own.
const MaxConnections = 20_000

// form is the configuration of a node. Numbers are those of the hub's own server; see
// hub/broker.
var form = template.Must(template.New("node").Funcs(template.FuncMap{"quote": strconv.Quote}).Parse(
	`# NATS server {{.Name}}. Made by ` + "`navarch nats init`" + `; change the paths and addresses as you need.
server_name: {{quote .Name}}
listen: {{quote .Listen}}
include {{quote .Trust}}

jetstream {
  store_dir: {{quote .Store}}
  # What a power failure takes is announced and reported again.
  sync_interval: 1s
}
tls {
  cert_file: {{quote .Certificate}}
  key_file: {{quote .Key}}
  timeout: 10
}
{{- if .WebSocket}}
websocket {
  listen: {{quote .WebSocket}}
  compression: false
  handshake_timeout: "10s"
  tls {
    cert_file: {{quote .Certificate}}
    key_file: {{quote .Key}}
  }
}
{{- end}}
authorization { timeout: 12 }
max_connections: {{.MaxConnections}}
max_subscriptions: 1000
max_pending: 16MB
write_deadline: "10s"
ping_interval: "1m"
{{- if .Routes}}

cluster {
  name: navarch
  listen: {{quote .Cluster}}
  no_advertise: true
  tls {
    cert_file: {{quote .Certificate}}
    key_file: {{quote .Key}}
    ca_file: {{quote .Authority}}
    verify: true
    timeout: 10
  }
  routes: [
{{- range .Routes}}
    {{quote .}}
{{- end}}
  ]
}
{{- end}}
`))

// File returns the configuration of a node. It includes [TrustName] from the folder that
// it is in.
func (n Node) File() ([]byte, error) {
	if _, err := fleet.ParseClusterName(n.Name); err != nil { // the same rule
		return nil, fmt.Errorf("name of a NATS server: %w", err)
	}
	if n.Store == "" || n.Certificate == "" || n.Key == "" {
		return nil, fmt.Errorf("NATS server %q needs a folder for its streams and a certificate with its key", n.Name)
	}
	if len(n.Peers) > 1 && n.Authority == "" {
		return nil, fmt.Errorf("NATS server %q needs an authority to know the other nodes by", n.Name)
	}
	var routes []string
	for _, peer := range n.Peers {
		if _, _, err := net.SplitHostPort(peer); err != nil {
			return nil, fmt.Errorf("node %q of NATS: %w (want HOST:PORT)", peer, err)
		}
		if len(n.Peers) > 1 {
			routes = append(routes, "tls://"+peer)
		}
	}
	everywhere := func(address string, port int) string {
		if address == "" {
			return net.JoinHostPort("0.0.0.0", strconv.Itoa(port))
		}
		return address
	}
	n.Listen, n.Cluster = everywhere(n.Listen, PortNATS), everywhere(n.Cluster, PortCluster)
	var b strings.Builder
	err := form.Execute(&b, struct {
		Node
		Trust          string
		Routes         []string
		MaxConnections int
	}{n, TrustName, routes, MaxConnections})
	return []byte(b.String()), err
}
