package natsconf_test

import (
	"strings"
	"testing"

	"github.com/navarch/navarch/hub/natsconf"
)

// TestNodeRefuses: what a server would not start with is an error here. That it does start
// with the rest, the tests of wire/natsconn and of the hub show.
func TestNodeRefuses(t *testing.T) {
	good := natsconf.Node{Name: "nats-1", Store: "/data", Certificate: "/server.pem", Key: "/server.key"}
	tests := map[string]struct {
		change func(*natsconf.Node)
		want   string
	}{
		"no name":           {func(n *natsconf.Node) { n.Name = "" }, "name of a NATS server"},
		"a name with signs": {func(n *natsconf.Node) { n.Name = "a\"\nlisten: x" }, "name of a NATS server"},
		"no store":          {func(n *natsconf.Node) { n.Store = "" }, "needs a folder for its streams"},
		"no certificate":    {func(n *natsconf.Node) { n.Certificate = "" }, "a certificate with its key"},
		"no authority":      {func(n *natsconf.Node) { n.Peers = []string{"a:1", "b:1"} }, "needs an authority"},
		"a node without a port": {func(n *natsconf.Node) {
			n.Authority, n.Peers = "/ca.pem", []string{"a", "b:1"}
		}, "want HOST:PORT"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			n := good
			test.change(&n)
			if _, err := n.File(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
	content, err := good.File()
	if err != nil || strings.Contains(string(content), "cluster {") {
		t.Errorf("one server is a cluster: %v\n%s", err, content)
	}
	if _, err := (natsconf.Trust{}).File(); err == nil {
		t.Error("servers that trust nobody")
	}
}
