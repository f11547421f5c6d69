package env

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
)

// Request is one request of the agent, as the member's API server recorded it.
type Request struct {
	Verb      string // get, list, watch, create, update, patch, delete
	Resource  string // with its group, as in deployments.apps
	Namespace string
	Name      string
	DryRun    bool // asked what would be
}

// String gives "verb resource namespace/name".
func (r Request) String() string {
	s := r.Verb + " " + r.Resource
	if r.Namespace != "" {
		return s + " " + r.Namespace + "/" + r.Name
	}
	return s + " " + r.Name
}

// Writes tells whether the request could change something.
func (r Request) Writes() bool {
	return !r.DryRun && !slices.Contains([]string{"get", "list", "watch"}, r.Verb)
}

// agentUser is who the agent's ServiceAccount is to the API server.
const agentUser = "system:serviceaccount:navarch-system:navarch-agent"

// Requests returns what the agent asked of the member's API server since the audit
// log had the given size, and the size that it has now. Requests about the agent's
// own namespace, and Events, are left out when own is false.
func (m *Member) Requests(since int64, own bool) ([]Request, int64, error) {
	requests, size, err := m.RequestsOf(agentUser, since)
	if !own {
		requests = slices.DeleteFunc(requests, func(r Request) bool { return r.Namespace == "navarch-system" || r.Resource == "events" })
	}
	slices.SortFunc(requests, func(a, b Request) int { return strings.Compare(a.String(), b.String()) })
	return requests, size, err
}

// RequestsOf returns what a ServiceAccount, by its user name, asked of the member's
// API server since the audit log had the given size, in order, and the size that it
// has now.
func (m *Member) RequestsOf(user string, since int64) ([]Request, int64, error) {
	log, err := os.Open(m.audit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read the audit log of cluster %q: %w", m.Name, err)
	}
	defer log.Close()
	content, err := io.ReadAll(io.NewSectionReader(log, since, math.MaxInt64-since))
	if err != nil {
		return nil, 0, fmt.Errorf("read the audit log of cluster %q: %w", m.Name, err)
	}
	whole := bytes.LastIndexByte(content, '\n') + 1
	var requests []Request
	for line := range bytes.Lines(content[:whole]) {
		var event struct {
			Verb       string
			RequestURI string
			User       struct{ Username string }
			ObjectRef  struct{ APIGroup, Resource, Subresource, Namespace, Name string }
		}
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, 0, fmt.Errorf("read the audit log of cluster %q: %w", m.Name, err)
		}
		if event.User.Username != user {
			continue
		}
		resource := event.ObjectRef.Resource
		if event.ObjectRef.APIGroup != "" {
			resource += "." + event.ObjectRef.APIGroup
		}
		requests = append(requests, Request{
			Verb: event.Verb, Resource: resource, Namespace: event.ObjectRef.Namespace, Name: event.ObjectRef.Name,
			DryRun: strings.Contains(event.RequestURI, "dryRun=All"),
		})
	}
	return requests, since + int64(whole), nil
}
