package env

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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
func (r Request) Writes() bool { return !slices.Contains([]string{"get", "list", "watch"}, r.Verb) }

// agentUser is who the agent's ServiceAccount is to the API server.
const agentUser = "system:serviceaccount:navarch-system:navarch-agent"

// Requests returns what the agent asked of the member's API server since the audit
// log had the given size, and the size that it has now. Requests about the agent's
// own namespace, and Events, are left out when own is false.
func (m *Member) Requests(since int64, own bool) ([]Request, int64, error) {
	content, err := os.ReadFile(m.audit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read the audit log of cluster %q: %w", m.Name, err)
	}
	whole := int64(bytes.LastIndexByte(content, '\n') + 1)
	var requests []Request
	for line := range bytes.Lines(content[min(since, whole):whole]) {
		var event struct {
			Verb      string
			User      struct{ Username string }
			ObjectRef struct{ APIGroup, Resource, Subresource, Namespace, Name string }
		}
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, 0, fmt.Errorf("read the audit log of cluster %q: %w", m.Name, err)
		}
		if event.User.Username != agentUser || !own && (event.ObjectRef.Namespace == "navarch-system" || event.ObjectRef.Resource == "events") {
			continue
		}
		resource := event.ObjectRef.Resource
		if event.ObjectRef.APIGroup != "" {
			resource += "." + event.ObjectRef.APIGroup
		}
		requests = append(requests, Request{Verb: event.Verb, Resource: resource, Namespace: event.ObjectRef.Namespace, Name: event.ObjectRef.Name})
	}
	slices.SortFunc(requests, func(a, b Request) int { return strings.Compare(a.String(), b.String()) })
	return requests, whole, nil
}
