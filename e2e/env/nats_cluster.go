package env

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/navarch/navarch/e2e/env/natsserver"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/hub/natsconf"
	"github.com/navarch/navarch/wire"
)

// UseNATSCluster moves the hub and the agents to stock NATS servers that are one cluster.
// The agents reach them over WebSocket.
func (f *Fleet) UseNATSCluster(ctx context.Context, nodes int) error {
	identity, err := enrol.Open(f.Hub.Identity)
	if err != nil {
		return err
	}
	trust := natsconf.Trust{System: identity.SystemAccount()}
	if trust.Operator, err = identity.OperatorJWT(); err != nil {
		return err
	}
	if trust.Accounts, err = identity.AccountJWTs(); err != nil {
		return err
	}
	dir := filepath.Join(f.dir, "nats-cluster")
	if f.Cluster, err = natsserver.New(f.Hub.tools.NATS, dir, nodes, trust); err != nil {
		return err
	}
	if err := f.Cluster.Start(ctx); err != nil {
		return err
	}
	authority := filepath.Join(dir, "authority.pem")
	if err := os.WriteFile(authority, f.Cluster.CA, 0o600); err != nil {
		return err
	}
	var agents []string
	for _, node := range f.Cluster.Nodes {
		agents = append(agents, node.WebSocket)
	}
	f.Hub.AddFlags("--agent-urls", strings.Join(agents, ","))
	return f.move(ctx, f.Cluster.URLs(), authority)
}

// KillNATS kills servers of the cluster, beginning with the one that leads what is
// announced.
func (f *Fleet) KillNATS(ctx context.Context, count int) error {
	leader, err := f.Cluster.Leader(ctx, wire.StreamDesired)
	if err != nil {
		return err
	}
	leader.Kill()
	for _, node := range f.Cluster.Nodes {
		if node != leader && count > 1 {
			node.Kill()
			count--
		}
	}
	return nil
}
