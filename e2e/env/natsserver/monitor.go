package natsserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Leader returns the node that leads a stream, as the nodes that run say it. It waits
// until there is one.
func (c *Cluster) Leader(ctx context.Context, stream string) (*Node, error) {
	for {
		for _, asked := range c.Nodes {
			name, err := asked.leader(ctx, stream)
			if err != nil {
				continue // it may be one that does not run
			}
			for _, n := range c.Nodes {
				if n.Name == name && n.runs() {
					return n, nil
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("find the leader of %s: %w", stream, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (n *Node) runs() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process != nil
}

// leader asks a node who leads a stream.
func (n *Node) leader(ctx context.Context, stream string) (string, error) {
	var said struct {
		Accounts []struct {
			Streams []struct {
				Name    string `json:"name"`
				Cluster struct {
					Leader string `json:"leader"`
				} `json:"cluster"`
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	if err := n.monitor(ctx, "jsz?accounts=true&streams=true", &said); err != nil {
		return "", err
	}
	for _, account := range said.Accounts {
		for _, s := range account.Streams {
			if s.Name == stream && s.Cluster.Leader != "" {
				return s.Cluster.Leader, nil
			}
		}
	}
	return "", errors.New("it knows of none")
}

// loaded returns when a node read its configuration last.
func (n *Node) loaded(ctx context.Context) (time.Time, error) {
	var said struct {
		Loaded time.Time `json:"config_load_time"`
	}
	err := n.monitor(ctx, "varz", &said)
	return said.Loaded, err
}

// monitor asks a node what it says of itself.
func (n *Node) monitor(ctx context.Context, what string, said any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Monitor+"/"+what, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return json.NewDecoder(response.Body).Decode(said)
}
