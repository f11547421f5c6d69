package natsconn

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// Enrol asks the hub to admit the agent of a cluster and returns the sealed answer.
// The connection is one with the credentials of [wire.AllowDoor].
func (c *Conn) Enrol(ctx context.Context, cluster fleet.ClusterName, sealed []byte) ([]byte, error) {
	answer, err := c.request(ctx, wire.EnrolSubject(cluster), sealed)
	if err != nil {
		return nil, fmt.Errorf("ask to enrol cluster %q: %w", cluster, err)
	}
	return answer.Data, nil
}

// Enrolments has answer answer every request for enrolment, one after the other;
// nil is no answer. It returns nil when ctx ends, and not before.
func (c *Conn) Enrolments(ctx context.Context, answer func(cluster fleet.ClusterName, sealed []byte) []byte) error {
	subscription, err := c.nc.Subscribe(wire.AllEnrol, func(m *nats.Msg) {
		cluster, err := wire.ParseEnrolSubject(m.Subject)
		if err != nil {
			return
		}
		if body := answer(cluster, m.Data); body != nil && m.Reply != "" {
			_ = m.Respond(body) // who has heard nothing asks again
		}
	})
	if err != nil {
		return fmt.Errorf("listen to enrolments: %w", err)
	}
	defer subscription.Unsubscribe() //nolint:errcheck // the connection ends or has ended
	<-ctx.Done()
	return nil
}
