package broker

import "github.com/nats-io/nats-server/v2/server"

// Server is the running server, for tests that look at it.
func (b *Broker) Server() *server.Server { return b.server }

// What a server's limits are, for tests that come up against them.
const (
	MaxPending       = maxPending
	MaxSame          = maxSame
	MaxSubscriptions = maxSubscriptions
	AuthTimeout      = authTimeout
	TLSTimeout       = tlsTimeout
)
