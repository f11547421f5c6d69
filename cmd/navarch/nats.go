package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/nats-io/jwt/v2"
	"github.com/spf13/cobra"

	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/hub/natsconf"
)

func newNATS() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "nats",
		GroupID: "other",
		Short:   "Set up NATS servers of your own",
		Long: `Set up NATS servers of your own, in place of the one in the hub.

A hub has a NATS server in itself and needs no other. With servers of your own it
survives the loss of one of them.`,
		Example: `  # for the configuration of a server that you have
  navarch nats init --identity ./identity > navarch.conf

  # one server
  navarch nats init --identity ./identity --out ./nats

  # three servers that are one cluster
  navarch nats init --identity ./identity --nodes 3 --host nats-1.example.com --host nats-2.example.com --host nats-3.example.com --out ./nats`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newNATSInit())
	return cmd
}

// natsInit says what NATS servers of one's own need to know.
type natsInit struct {
	identity, members, out, store, certificate, key, authority string
	hosts                                                      []string
	nodes                                                      int
	webSocket                                                  bool
}

func newNATSInit() *cobra.Command {
	var o natsInit
	cmd := &cobra.Command{
		Use:   "init --identity DIR [--nodes N --host HOST… --out DIR]",
		Short: "Print what NATS servers of your own need to serve a hub",
		Long: `Print what makes a NATS server of your own serve a hub: whom it trusts, and the
accounts of the hub and of the agents. Include it in the server's configuration,
which also needs a "jetstream" and a "tls" block.

With --out it writes a folder instead: the same, a whole configuration for each
server, and the operator and accounts as JWTs, one a file, for nsc. Three servers
are a cluster that survives the loss of one of them.

Everything is public: keys stay in the identity folder. The certificates of the
servers are yours; those of a cluster are checked by the nodes both ways.`,
		Example: `  # for the configuration of a server that you have: include navarch.conf
  navarch nats init --identity ./identity > navarch.conf

  # three servers that are one cluster, WebSocket too
  navarch nats init --identity ./identity --nodes 3 --websocket --out ./nats \
      --host nats-1.example.com --host nats-2.example.com --host nats-3.example.com

  # the hub then uses them
  navarch-hub --nats-url tls://nats-1.example.com:4222,tls://nats-2.example.com:4222,tls://nats-3.example.com:4222 \
      --nats-ca ca.pem --identity ./identity --repo https://git.example.com/fleet.git`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.identity, "identity", "", "identity folder of the hub (required)")
	flags.StringVar(&o.members, "members", "", "file of which clusters have joined, to shut out those that were revoked; default members.json in the identity folder")
	flags.StringVar(&o.out, "out", "", "write a folder, which must be empty or absent, instead of printing")
	flags.IntVar(&o.nodes, "nodes", 1, "how many servers: 1, 3 or 5")
	flags.StringArrayVar(&o.hosts, "host", nil, "name under which a server is reached, once for each of --nodes")
	flags.StringVar(&o.store, "store", "/var/lib/nats", "folder of the streams on a server")
	flags.StringVar(&o.certificate, "tls-cert", "/etc/nats/server.pem", "certificate on a server")
	flags.StringVar(&o.key, "tls-key", "/etc/nats/server.key", "key of the certificate on a server")
	flags.StringVar(&o.authority, "tls-ca", "/etc/nats/ca.pem", "authority of the servers' certificates, on a server")
	flags.BoolVar(&o.webSocket, "websocket", false, "also serve NATS over WebSocket, on port 443")
	return cmd
}

func (o natsInit) run(cmd *cobra.Command) error {
	if o.identity == "" {
		return needFlag(cmd, "identity", "./identity")
	}
	if err := o.check(); err != nil {
		return usageError{cmd.CommandPath(), err}
	}
	identity, err := existingIdentity(o.identity)
	if err != nil {
		return err
	}
	roll, err := enrol.ReadRoll(cmp.Or(o.members, filepath.Join(o.identity, enrol.RollName)))
	if err != nil {
		return err
	}
	trust := natsconf.Trust{System: identity.SystemAccount()}
	if trust.Operator, err = identity.OperatorJWT(); err != nil {
		return err
	}
	if trust.Accounts, err = identity.AccountJWTsWithout(roll.Revoked); err != nil {
		return err
	}
	if o.out == "" {
		content, err := trust.File()
		if err != nil {
			return err
		}
		_, err = cmd.OutOrStdout().Write(content)
		return err
	}
	files, err := o.files(trust)
	if err != nil {
		return err
	}
	if err := writeFolder("--out", o.out, files); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), filepath.Join(o.out, name)); err != nil {
			return err
		}
	}
	return nil
}

// check checks the flags against each other.
func (o natsInit) check() error {
	switch {
	case o.out == "" && (o.nodes != 1 || len(o.hosts) > 0 || o.webSocket):
		return errors.New("say --out DIR: the configuration of servers is a folder")
	case o.out == "":
		return nil
	case o.nodes != 1 && o.nodes != 3 && o.nodes != 5:
		return fmt.Errorf("--nodes %d: want 1, 3 or 5: with an even number one more has to stay up", o.nodes)
	case o.nodes > 1 && len(o.hosts) != o.nodes:
		return fmt.Errorf("--nodes %d with %d --host: say --host once for each", o.nodes, len(o.hosts))
	}
	return nil
}

// files are what a folder has, by name.
func (o natsInit) files(trust natsconf.Trust) (map[string][]byte, error) {
	files := map[string][]byte{"operator.jwt": []byte(trust.Operator + "\n")}
	for _, token := range trust.Accounts {
		claims, err := jwt.DecodeAccountClaims(token)
		if err != nil {
			return nil, err
		}
		files["account-"+claims.Name+".jwt"] = []byte(token + "\n")
	}
	var err error
	if files[natsconf.TrustName], err = trust.File(); err != nil {
		return nil, err
	}
	var peers []string
	for _, host := range o.hosts {
		peers = append(peers, net.JoinHostPort(host, strconv.Itoa(natsconf.PortCluster)))
	}
	for i := range o.nodes {
		node := natsconf.Node{
			Name: fmt.Sprintf("nats-%d", i+1), Store: o.store, Certificate: o.certificate, Key: o.key, Authority: o.authority, Peers: peers,
		}
		if o.webSocket {
			node.WebSocket = net.JoinHostPort("0.0.0.0", strconv.Itoa(natsconf.PortWebSocket))
		}
		if files[node.Name+".conf"], err = node.File(); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// writeFolder writes files into a folder that is empty or absent.
func writeFolder(flag, dir string, files map[string][]byte) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s: folder %q is not empty", flag, dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	folder, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	defer folder.Close()
	for name, content := range files {
		if err := folder.WriteFile(name, content, 0o600); err != nil {
			return fmt.Errorf("%s: %w", flag, err)
		}
	}
	return nil
}

// newInstallNATS is the former name of `navarch nats init`.
func newInstallNATS() *cobra.Command {
	cmd := newNATSInit()
	cmd.Use = "nats --identity DIR"
	cmd.Short = "Print what NATS servers of your own need (see navarch nats init)"
	return cmd
}

// existingIdentity opens the identity of a hub. A new one made here would be one
// that no hub has.
func existingIdentity(dir string) (*enrol.Identity, error) {
	if !hasIdentity(dir) {
		return nil, fmt.Errorf("there is no identity in %q: name the folder that `navarch install hub --identity` made, or that of the hub's machine", dir)
	}
	return enrol.Open(dir)
}
