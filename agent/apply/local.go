package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/navarch/navarch/fleet"
)

// localise returns what to send of an object of which the cluster may change some
// fields for itself. What somebody else owns by now is not sent, so that it is
// nobody's business any more; other fields are sent as they are in the cluster, and
// left out where they are not there. An object that is new is sent whole.
func (c *Client) localise(ctx context.Context, o Object, ignore []fleet.IgnoredDifference) (Object, error) {
	var pointers []string
	for _, rule := range ignore {
		if rule.Covers(o.ID) {
			pointers = append(pointers, rule.JSONPointers...)
		}
	}
	if len(pointers) == 0 {
		return o, nil
	}
	var live, wanted any
	var owners metav1.PartialObjectMetadata
	raw := json.RawMessage{}
	err := c.read(ctx, c.rest.Get().AbsPath(o.Kind.path(o.ID.Namespace, o.ID.Name)...), "application/json", &raw)
	if apierrors.IsNotFound(err) {
		return o, nil
	}
	if err != nil {
		return o, fmt.Errorf("read the fields that the cluster may change: %w", err)
	}
	for _, into := range []any{&live, &owners} {
		if err := json.Unmarshal(raw, into); err != nil {
			return o, fmt.Errorf("decode the object in the cluster: %w", err)
		}
	}
	if err := json.Unmarshal(o.Body, &wanted); err != nil {
		return o, fmt.Errorf("decode the object: %w", err)
	}
	for _, pointer := range pointers {
		steps := steps(pointer)
		value, there := lookUp(live, steps)
		wanted = put(wanted, steps, value, there && !othersOwn(owners.ManagedFields, steps))
	}
	o.hash = o.Hash() // of what Git says: that is what a change is noticed by
	if o.Body, err = json.Marshal(wanted); err != nil {
		return o, fmt.Errorf("encode the object: %w", err)
	}
	return o, nil
}

// steps splits an RFC 6901 pointer.
func steps(pointer string) []string {
	parts := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
	}
	return parts
}

// lookUp finds what steps lead to.
func lookUp(in any, steps []string) (value any, there bool) {
	for _, step := range steps {
		switch at := in.(type) {
		case map[string]any:
			if in, there = at[step]; !there {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(at) {
				return nil, false
			}
			in = at[i]
		default:
			return nil, false
		}
	}
	return in, true
}

// put returns a value in which steps lead to another one, or to nothing where it is
// not there. Mappings that are missing on the way are made; list items are not.
func put(in any, steps []string, value any, there bool) any {
	if len(steps) == 0 {
		return value
	}
	switch at := in.(type) {
	case []any:
		i, err := strconv.Atoi(steps[0])
		switch {
		case err != nil || i < 0 || i >= len(at):
		case len(steps) == 1 && !there:
			return slices.Delete(at, i, i+1)
		default:
			at[i] = put(at[i], steps[1:], value, there)
		}
		return at
	case map[string]any:
		child, has := at[steps[0]]
		switch {
		case !has && !there:
		case len(steps) == 1 && !there:
			delete(at, steps[0])
		default:
			at[steps[0]] = put(child, steps[1:], value, there)
		}
		return at
	case nil:
		if there {
			return map[string]any{steps[0]: put(nil, steps[1:], value, there)}
		}
	}
	return in
}
