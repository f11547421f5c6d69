package natsconn_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// TestReportsLargerThanABuffer keeps more than the server holds for one client, behind so
// many small reports that the hub asks for more while it has not got what it asked for: a
// hub that begins to read is not taken for one that reads too slowly.
func TestReportsLargerThanABuffer(t *testing.T) {
	bed := newBed(t)
	agent := bed.agent("eu-1")
	const small, reports = 900, 960
	for i := range small {
		check(t, agent.Report(t.Context(), wire.Report{Version: 1, Cluster: "eu-1", App: fleet.AppName(fmt.Sprint("small-", i))}))
	}
	text := make([]byte, 700<<10)
	for i := range text {
		text[i] = 'a' + byte(rand.N(26))
	}
	for i := range reports - small {
		check(t, agent.Report(t.Context(), wire.Report{
			Version: 1, Cluster: "eu-1", App: fleet.AppName(fmt.Sprint("app-", i)), Conditions: []wire.Condition{{Type: wire.Ready, Message: string(text)}},
		}))
	}
	hub := bed.dialHub(false)
	heard := newInbox[fleet.AppName]()
	run(t, func(ctx context.Context) error {
		return hub.Reports(ctx, natsconn.Listener{
			Report:    func(r wire.Report, _ time.Time) { heard.add(r.App) },
			Heartbeat: func(wire.Heartbeat, time.Time) {},
			Refused:   func(subject string, err error) { t.Error(subject, err) },
		})
	})
	heard.wait(t, "every report", func(apps []fleet.AppName) bool { return len(apps) >= reports })
	if made, _ := hub.Connects(); made != 1 {
		t.Errorf("it took %d connections", made)
	}
}
