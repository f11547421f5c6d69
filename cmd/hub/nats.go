package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/navarch/navarch/hub"
)

// natsFlags adds the flags that say where NATS is, and returns what to call when they
// are parsed.
func natsFlags(flags *flag.FlagSet, c *hub.Config) (finish func() error) {
	var ca, urls string
	flags.StringVar(&c.NATS.Listen, "nats-listen", hub.DefaultNATSListen, "address of the embedded NATS server")
	flags.StringVar(&c.NATS.WebSocket, "nats-websocket-listen", "", "address, such as 0.0.0.0:443, where the embedded NATS server speaks WebSocket too; default: none")
	flags.StringVar(&c.NATS.Monitor, "nats-monitor", "", "address of loopback where the embedded NATS server tells of itself; default: none")
	flags.IntVar(&c.NATS.MaxConnections, "nats-max-connections", hub.DefaultMaxConnections, "connections that the embedded NATS server takes")
	flags.StringVar(&c.NATS.URL, "nats-url", "", "use this NATS server, or those with commas between, instead of the embedded one: see navarch nats init")
	flags.StringVar(&ca, "nats-ca", "", "file with the certificate authority of the server at --nats-url; default the system's")
	flags.IntVar(&c.NATS.Replicas, "nats-replicas", 0, "how many servers keep what the hub announces; default 3 where those at --nats-url are a cluster, else 1")
	flags.StringVar(&urls, "agent-urls", "", "comma-separated URLs, tls:// or wss://, under which agents reach NATS, for install manifests; default those of --hosts")
	return func() (err error) {
		if urls != "" {
			c.Join.URLs = strings.Split(urls, ",")
		}
		if ca != "" {
			if c.NATS.CA, err = os.ReadFile(ca); err != nil {
				return fmt.Errorf("--nats-ca: %w", err)
			}
		}
		if c.NATS.MaxConnections < 1 {
			return fmt.Errorf("--nats-max-connections %d: want 1 or more", c.NATS.MaxConnections)
		}
		return nil
	}
}
