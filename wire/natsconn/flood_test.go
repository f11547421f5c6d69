package natsconn_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// TestReportWhileFlooded: a server that has too much to do drops messages and says so, in
// an answer that names the stream as those do that say the opposite. What is said to be
// reported is kept.
func TestReportWhileFlooded(t *testing.T) {
	bed := newBed(t)
	agent := bed.agent("us-1")
	var floods []*nats.Conn
	for range 4 {
		nc, _ := bed.streams()
		floods = append(floods, nc)
	}
	_, js := bed.streams()
	stream, err := js.Stream(t.Context(), wire.StreamReports)
	check(t, err)
	refused := 0
	for round := 0; refused == 0 && round < 20; round++ {
		var all sync.WaitGroup
		for _, nc := range floods {
			all.Go(func() {
				for n := range 50_000 {
					if err := nc.Publish(wire.ClusterSubject("eu-1"), fmt.Append(nil, n)); err != nil {
						t.Error(err)
						return
					}
				}
				if err := nc.FlushTimeout(time.Minute); err != nil {
					t.Error(err)
				}
			})
		}
		results := make([]error, 100)
		appOf := func(n int) fleet.AppName { return fleet.AppName(fmt.Sprintf("app-%d-%d", round, n)) }
		for n := range results {
			all.Go(func() {
				results[n] = agent.Report(t.Context(), wire.Report{Version: 1, Cluster: "us-1", App: appOf(n)})
			})
		}
		all.Wait()
		for n, err := range results {
			if errors.Is(err, natsconn.ErrUnavailable) {
				if strings.Contains(err.Error(), "too many requests") {
					refused++
				}
				continue
			}
			check(t, err)
			if _, err := stream.GetLastMsgForSubject(t.Context(), wire.ReportSubject("us-1", appOf(n))); err != nil {
				t.Fatalf("round %d: app %d was reported, and what is kept of it: %v", round, n, err)
			}
		}
	}
	if refused == 0 {
		t.Skip("the server had never too much to do")
	}
}
