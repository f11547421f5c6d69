package hub

import (
	"fmt"
	"testing"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// reports returns how many reports of a cluster are kept.
func (b *bed) reports(cluster fleet.ClusterName) int {
	b.t.Helper()
	kept, err := b.conn.KeptReports(b.t.Context())
	check(b.t, err)
	return len(kept[cluster])
}

// TestTooManyReports: an agent that reports of ever more apps has no more kept than a
// cluster may have, and keeps no other from being heard.
func TestTooManyReports(t *testing.T) {
	b := newBed(t, repository("shop"))
	b.start()
	b.apps("eu-1", "shop")
	for i := range natsconn.MaxReports + 300 {
		b.say(wire.Report{Cluster: "eu-1", App: fleet.AppName(fmt.Sprintf("app-%d", i))})
	}
	b.say(wire.Report{Cluster: "us-1", App: "shop", Attempted: wire.Applied{Revision: "heard"}})
	b.until("the rest to be deleted", func() bool { return b.reports("eu-1") == natsconn.MaxReports })
	if got := b.reports("us-1"); got != 1 {
		t.Errorf("%d reports of another are kept", got)
	}
}

// TestStrayReports: what an agent reports of apps that it was not told about is deleted
// after a while; what it was told, what it is to remove and what it holds stays.
func TestStrayReports(t *testing.T) {
	b := newBed(t, repository("shop", "blog"))
	stop := b.start()
	b.apps("eu-1", "blog", "shop")
	b.push("without the blog\n\nNavarch-Allow-Deletions: yes", without("blog"))
	b.apps("eu-1", "shop")
	for _, r := range []wire.Report{
		{App: "shop"}, {App: "blog"}, {App: "held", Held: true}, {App: "stray"},
	} {
		r.Cluster = "eu-1"
		b.say(r)
	}
	b.say(wire.Report{Cluster: "unnamed", App: "stray"})
	b.until("the orphan to be held", func() bool { return b.board.Snapshot(time.Now()).Hold != nil })
	stop() // it is looked at from here
	credentials, err := b.identity.HubCredentials()
	check(t, err)
	conn, err := natsconn.Dial(natsconn.Config{InProcess: b.broker, Credentials: credentials, Log: discard})
	check(t, err)
	t.Cleanup(conn.Close)
	b.conn, b.deployer.announcer.conn = conn, conn
	check(t, conn.WaitConnected(t.Context()))
	b.deployer.sweepReports(t.Context())
	if got := b.reports("eu-1"); got != 4 {
		t.Errorf("%d reports are kept after the first sweep, want all 4", got)
	}
	b.deployer.sweepReports(t.Context())
	if got := b.reports("eu-1"); got != 3 {
		t.Errorf("%d reports are kept after the second sweep, want 3", got)
	}
	if got := b.reports("unnamed"); got != 1 {
		t.Errorf("%d reports of a cluster that Git does not name", got)
	}
}
