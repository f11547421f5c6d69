package broker

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
)

// NATS limits what one connection of a user may do, and not how many there are nor how
// much they say. A crowd does: it looks at all connections every now and then. It also
// finds those that were being made while their key was taken back: the server checks the
// key, and knows the connection only later.
const (
	// maxSame is how many connections one key may have. Two agents of a cluster may be
	// there, one of which stands by, and where the network fails those that it has
	// forgotten are seen for as long as PingInterval allows: the oldest go.
	maxSame = 24
	// maxMessages and maxBytes are what the connections of one key may say in a second,
	// as a mean between two looks: what a cluster with 10,000 apps says that comes back,
	// or one with 1000 whose reports are as long as reports are without being packed.
	maxMessages = 2000
	maxBytes    = 26 << 20
	// tellAgain is how long nothing more is logged of a key that was told of.
	tellAgain = time.Minute
)

// user is who has a key, as the JWT says that the server checked. What a client says
// beside it, a user's name or another's key, is worth nothing.
type user struct{ key, name string }

// caller is whose a connection is, by a JWT of some time.
type caller struct {
	user
	issued time.Time
}

// crowd remembers what the users of a server had said when it last looked.
type crowd struct {
	log    *slog.Logger
	looked time.Time
	who    map[uint64]caller // by connection
	said   map[uint64]volume // by connection
	told   map[string]time.Time
}

// volume is how much somebody said.
type volume struct{ messages, bytes int64 }

// look cuts the connections of those who are too many, or say too much. They may come
// back: what keeps them out is to revoke them. It cuts those who were revoked, too.
func (c *crowd) look(s *server.Server, now time.Time) error {
	report, err := s.Connz(&server.ConnzOptions{Username: true, Sort: server.ByCid, Limit: s.NumClients() + 1})
	if err != nil {
		return err
	}
	accounts := map[string]*jwt.AccountClaims{}
	users := map[user][]*server.ConnInfo{}
	who, said := make(map[uint64]caller, len(report.Conns)), make(map[uint64]volume, len(report.Conns))
	for _, conn := range report.Conns {
		said[conn.Cid] = volume{conn.InMsgs, conn.InBytes}
		caller, known := c.who[conn.Cid]
		if !known {
			caller, known = callerOf(conn)
		}
		switch {
		case !known:
			continue
		case revoked(s, accounts, conn.Account, caller):
			_ = s.DisconnectClientByID(conn.Cid) // as below
		case conn.IP != "": // the hub's own has no address
			users[caller.user] = append(users[caller.user], conn)
		}
		who[conn.Cid] = caller
	}
	since := now.Sub(c.looked).Seconds()
	for _, user := range slices.SortedFunc(maps.Keys(users), func(a, b user) int { return cmp.Compare(a.key, b.key) }) {
		conns := users[user] // in the order in which they came
		switch n, v := len(conns), c.volume(conns, said); {
		case !c.looked.IsZero() && (float64(v.messages) > maxMessages*since || float64(v.bytes) > maxBytes*since):
			c.tell(now, user, "it floods", "messages", v.messages, "bytes", v.bytes)
		case n > maxSame:
			c.tell(now, user, "it has too many connections: the oldest were cut", "connections", n)
			conns = conns[:n-maxSame]
		default:
			continue
		}
		for _, conn := range conns {
			_ = s.DisconnectClientByID(conn.Cid) // an error says that it has gone by itself
		}
	}
	c.looked, c.who, c.said = now, who, said
	return nil
}

// callerOf returns whose a connection is. Of one that the server has not admitted so far
// it is not known.
func callerOf(conn *server.ConnInfo) (caller, bool) {
	if conn.IssuerKey == "" || conn.Account == "" {
		return caller{}, false
	}
	claims, err := jwt.DecodeUserClaims(conn.JWT)
	if err != nil {
		return caller{}, false
	}
	who := user{key: claims.Subject}
	for _, tag := range claims.Tags {
		if cluster, ok := strings.CutPrefix(tag, "cluster:"); ok {
			who.name = cluster
		}
	}
	return caller{who, time.Unix(claims.IssuedAt, 0)}, true
}

// revoked tells whether an account has taken somebody's credential back. It reads the JWT
// of each account once.
func revoked(s *server.Server, accounts map[string]*jwt.AccountClaims, key string, who caller) bool {
	account, read := accounts[key]
	if !read {
		if token, err := s.AccountResolver().Fetch(key); err == nil {
			account, _ = jwt.DecodeAccountClaims(token) // nil where it is none
		}
		accounts[key] = account
	}
	return account != nil && account.Revocations.IsRevoked(who.key, who.issued)
}

// volume sums up what connections have said since the last look.
func (c *crowd) volume(conns []*server.ConnInfo, said map[uint64]volume) volume {
	var sum volume
	for _, conn := range conns {
		sum.messages += said[conn.Cid].messages - c.said[conn.Cid].messages
		sum.bytes += said[conn.Cid].bytes - c.said[conn.Cid].bytes
	}
	return sum
}

func (c *crowd) tell(now time.Time, who user, what string, values ...any) {
	maps.DeleteFunc(c.told, func(_ string, at time.Time) bool { return now.Sub(at) >= tellAgain })
	if _, told := c.told[who.key]; told {
		return
	}
	c.told[who.key] = now
	c.log.Warn("an agent was cut off NATS: revoke the cluster if it goes on", append(values, "why", what, "cluster", who.name, "key", who.key)...)
}
