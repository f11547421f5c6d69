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
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Monitor+"/jsz?accounts=true&streams=true", nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
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
	if err := json.NewDecoder(response.Body).Decode(&said); err != nil {
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
