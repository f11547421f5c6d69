package natsconn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/navarch/navarch/wire"
)

// replicasOfCluster is how many servers of a cluster keep a stream unless told otherwise:
// one of them may be lost.
const replicasOfCluster = 3

// EnsureStreams makes the streams of the protocol, or brings them to the form that
// this hub wants. It changes nothing that is right. Replicas is how many servers keep
// each; 0: three where the servers are a cluster, else one.
func (c *Conn) EnsureStreams(ctx context.Context, replicas int) error {
	c.mu.Lock()
	c.replicas = replicas
	c.mu.Unlock()
	_, err := c.ensureStreams(ctx)
	return err
}

// Storing returns why what is announced is not kept, or nil while it is. Of servers that
// are a cluster a part may be away.
func (c *Conn) Storing(ctx context.Context) error {
	stream, err := c.js.Stream(ctx, wire.StreamDesired)
	if err == nil && !agree(stream.CachedInfo().Cluster) {
		return ErrUnavailable
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrNoResponders) {
		return ErrUnavailable
	}
	return unavailable(ctx, err)
}

// agree tells whether the servers of a cluster that keep a stream have one that leads,
// and most of them are there: the one that leads takes a while to see that they are not.
func agree(cluster *jetstream.ClusterInfo) bool {
	if cluster == nil {
		return true
	}
	here := 1
	for _, replica := range cluster.Replicas { // the others
		if !replica.Offline {
			here++
		}
	}
	return cluster.Leader != "" && here > (len(cluster.Replicas)+1)/2
}

// ensureStreams tells whether it had to make one.
func (c *Conn) ensureStreams(ctx context.Context) (made bool, err error) {
	c.mu.Lock()
	replicas := c.replicas
	c.mu.Unlock()
	if replicas == 0 {
		replicas = 1
		if c.nc.ConnectedClusterName() != "" {
			replicas = replicasOfCluster
		}
	}
	for _, stream := range streams(replicas) {
		_, err := c.js.UpdateStream(ctx, stream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			made = true
			_, err = c.js.CreateStream(ctx, stream)
		}
		if err != nil {
			return made, fmt.Errorf("make stream %q with %d replicas: %w (%s)", stream.Name, replicas, unavailable(ctx, err), hint(err))
		}
	}
	return made, nil
}

// hint says what to look at when a stream cannot be made.
func hint(err error) string {
	var refused jetstream.JetStreamError
	if errors.As(err, &refused) && refused.APIError() != nil {
		switch refused.APIError().ErrorCode {
		case 10074: // of one server
			return "the server is no cluster: say --nats-replicas 1"
		case 10005, 10023: // too few servers, or too little space
			return "each replica needs a server of its own with JetStream and space: start them, or say --nats-replicas 1"
		}
	}
	return "is JetStream on, and is there disk for it?"
}

// streams is the state of the protocol: the last message of every subject, which
// anybody who may know it reads without a consumer.
func streams(replicas int) []jetstream.StreamConfig {
	configs := []jetstream.StreamConfig{
		{Name: wire.StreamDesired, Subjects: []string{wire.AllDesired}, Description: "what every cluster should run"},
		{Name: wire.StreamArtifacts, Subjects: []string{wire.AllArtifacts}, Description: "content by digest"},
		{Name: wire.StreamReports, Subjects: []string{wire.AllReports, wire.AllClusters}, Description: "what every cluster runs"},
	}
	for i := range configs {
		configs[i].Storage = jetstream.FileStorage
		configs[i].Retention = jetstream.LimitsPolicy
		configs[i].Discard = jetstream.DiscardOld
		configs[i].MaxMsgsPerSubject = 1
		configs[i].MaxMsgSize = wire.MaxMessage
		configs[i].AllowDirect = true
		configs[i].Replicas = replicas
		configs[i].Duplicates = 100 * time.Millisecond // nobody says which message is which; the server remembers none for long
	}
	return configs
}

// everything is a consumer of all that a stream keeps, and then of what comes.
var everything = jetstream.ConsumerConfig{
	AckPolicy:         jetstream.AckNonePolicy,
	DeliverPolicy:     jetstream.DeliverAllPolicy, // there is one message for each subject
	InactiveThreshold: time.Minute,
	MemoryStorage:     true,
}

// unavailable gives errors of the streams' own API the classes of this package.
func unavailable(ctx context.Context, err error) error {
	var refused jetstream.JetStreamError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.As(err, &refused) && refused.APIError() != nil && refused.APIError().Code < 500:
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
