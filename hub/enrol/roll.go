package enrol

import (
	"fmt"
	"maps"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// Roll says which clusters are members of the fleet and by which keys. It is a
// value: what changes it returns another.
type Roll struct {
	Version int                          `json:"version"`
	Members map[fleet.ClusterName]Member `json:"members,omitempty"`
	Used    map[string]Use               `json:"used,omitempty"`    // tokens by their ids
	Revoked map[string]time.Time         `json:"revoked,omitempty"` // when, by key: no JWT from before is good
}

// Member is a cluster that was admitted, or waits to be.
type Member struct {
	Key     string            `json:"key"` // public nkey of its agent
	Joined  time.Time         `json:"joined"`
	Issued  time.Time         `json:"issued,omitzero"` // of its last JWT
	Expires time.Time         `json:"expires,omitzero"`
	Waiting bool              `json:"waiting,omitempty"` // for a person's approval
	Revoked time.Time         `json:"revoked,omitzero"`  // zero: it is not
	Rejoin  bool              `json:"rejoin,omitempty"`  // another key may take its place, once
	Labels  map[string]string `json:"labels,omitempty"`  // of the token that it joined with

	Since    time.Time `json:"since,omitzero"`     // of Key, where it was exchanged; zero: since Joined
	Next     string    `json:"next,omitempty"`     // takes the place of Key as soon as it is heard from
	Exchange bool      `json:"exchange,omitempty"` // a person wants another key
	Pins     wire.Pins `json:"pins,omitzero"`      // as its agent said last; zero: nothing yet
}

// Use is what became of a token.
type Use struct {
	Key   string    `json:"key"`   // that it admitted
	Until time.Time `json:"until"` // when the token would have expired
}

// Request is a request for enrolment whose proofs are verified.
type Request struct {
	Cluster fleet.ClusterName
	Key     string
	Token   *wire.Token // nil: none
	Former  string      // the key that Key is to take the place of; empty: none
	Known   bool        // the sender has a JWT of this hub for this cluster and key, or Former, expired or not
}

// RefusedError is why an agent is not admitted. Its message is for the people who
// read the agent's log.
type RefusedError struct {
	Refusal wire.Refusal
	Message string
}

// Error returns the message.
func (e *RefusedError) Error() string { return e.Message }

func refuse(r wire.Refusal, format string, args ...any) *RefusedError {
	return &RefusedError{Refusal: r, Message: fmt.Sprintf(format, args...)}
}

// Enrol decides about a request. It returns the roll with the request's cluster as a
// member of it, or a [*RefusedError] and the roll as it is to be then: who waits for
// approval is on it.
//
// A member's key is enough to be admitted again, also with its JWT expired and its
// token used; no other key ever takes a member's place unless a person allows it.
func (r Roll) Enrol(q Request, now time.Time) (Roll, error) {
	m, member := r.Members[q.Cluster]
	switch {
	case q.Former != "":
		return r.exchange(q, now)
	case member && m.Next == q.Key && m.Revoked.IsZero():
		return r.move(q.Cluster, now), m.mayEnter(q.Cluster)
	case member && m.Key == q.Key && m.Revoked.IsZero():
		return r, m.mayEnter(q.Cluster)
	case !member && q.Known: // the roll was lost, the member was not
		return r.with(q.Cluster, Member{Key: q.Key, Joined: now}), nil
	case q.Token == nil && member && !m.Revoked.IsZero():
		return r, revoked(q.Cluster)
	case q.Token == nil && member:
		return r, otherKey(q.Cluster)
	case q.Token == nil:
		return r, refuse(wire.RefusedUnknown,
			"cluster %q is not a member and its agent has no token (install it again with what `navarch token create --cluster %s` prints)", q.Cluster, q.Cluster)
	}
	if err := r.checkToken(q, now); err != nil {
		if member && !m.Revoked.IsZero() {
			return r, revoked(q.Cluster) // says more than that its first token was used
		}
		return r, err
	}
	if member && !m.Rejoin {
		return r, otherKey(q.Cluster)
	}
	next := Member{Key: q.Key, Joined: now, Waiting: q.Token.Approve, Labels: q.Token.Labels}
	after := r.with(q.Cluster, next)
	if member {
		after = after.shut(m.end(now), m.Key, m.Next)
	}
	after.Used = maps.Clone(after.Used)
	setOn(&after.Used, q.Token.ID(), Use{Key: q.Key, Until: q.Token.Expires})
	return after, next.mayEnter(q.Cluster)
}

// Good tells whether a token would still admit somebody.
func (r Roll) Good(token wire.Token, now time.Time) bool {
	_, used := r.Used[token.ID()]
	return !used && now.Before(token.Expires)
}

func (m Member) mayEnter(cluster fleet.ClusterName) error {
	if m.Waiting {
		return refuse(wire.RefusedWaiting, "cluster %q waits to be approved (run `navarch clusters approve %s`)", cluster, cluster)
	}
	return nil
}

func revoked(cluster fleet.ClusterName) error {
	return refuse(wire.RefusedRevoked,
		"cluster %q was revoked (to take it back, run `navarch clusters allow-rejoin %s` and install its agent with a new token)", cluster, cluster)
}

func otherKey(cluster fleet.ClusterName) error {
	return refuse(wire.RefusedKey,
		"cluster %q is a member with another key (if it was rebuilt, run `navarch clusters allow-rejoin %s`)", cluster, cluster)
}

// checkToken returns why the token of a request does not admit it.
func (r Roll) checkToken(q Request, now time.Time) error {
	use, used := r.Used[q.Token.ID()]
	switch hint := fmt.Sprintf("install the agent again with what `navarch token create --cluster %s` prints", q.Cluster); {
	case q.Token.Cluster != q.Cluster:
		return refuse(wire.RefusedToken, "token %s is for cluster %q, this is %q (%s)", q.Token.ID(), q.Token.Cluster, q.Cluster, hint)
	case used && use.Key != q.Key:
		return refuse(wire.RefusedToken, "token %s was used before, by another agent: a token is good for one (%s)", q.Token.ID(), hint)
	case used:
		return refuse(wire.RefusedToken, "token %s was used before (%s)", q.Token.ID(), hint)
	case !now.Before(q.Token.Expires):
		return refuse(wire.RefusedToken, "token %s expired at %s (%s)", q.Token.ID(), q.Token.Expires.Format(time.RFC3339), hint)
	}
	return nil
}

// Admitted returns the roll after a member was given a JWT.
func (r Roll) Admitted(cluster fleet.ClusterName, issued, expires time.Time) Roll {
	m := r.Members[cluster]
	m.Issued, m.Expires = issued, expires
	return r.with(cluster, m)
}

// Approve lets a cluster in that waits.
func (r Roll) Approve(cluster fleet.ClusterName) (Roll, error) {
	m, ok := r.Members[cluster]
	if !ok {
		return r, unknown(cluster)
	}
	if !m.Waiting {
		return r, fmt.Errorf("cluster %q does not wait to be approved", cluster)
	}
	m.Waiting = false
	return r.with(cluster, m), nil
}

// Revoke takes a cluster's credentials away. Nothing is deleted in the cluster.
func (r Roll) Revoke(cluster fleet.ClusterName, now time.Time) (Roll, error) {
	m, ok := r.Members[cluster]
	if !ok {
		return r, unknown(cluster)
	}
	next := m.Next
	m.Revoked, m.Rejoin, m.Waiting, m.Next, m.Exchange = now, false, false, "", false
	return r.with(cluster, m).shut(m.end(now), m.Key, next), nil
}

// AllowRejoin lets another key take the place of a member's, once, with a token: the
// cluster was rebuilt, or was revoked and is taken back.
func (r Roll) AllowRejoin(cluster fleet.ClusterName) (Roll, error) {
	m, ok := r.Members[cluster]
	if !ok {
		return r, unknown(cluster)
	}
	m.Rejoin = true
	return r.with(cluster, m), nil
}

// Tidy forgets tokens that have expired: they are refused without it.
func (r Roll) Tidy(now time.Time) Roll {
	r.Used = maps.Clone(r.Used)
	maps.DeleteFunc(r.Used, func(_ string, use Use) bool { return now.After(use.Until) })
	return r
}

func unknown(cluster fleet.ClusterName) error {
	return fmt.Errorf("no cluster %q has joined (see `navarch clusters list`)", cluster)
}

func (r Roll) with(cluster fleet.ClusterName, m Member) Roll {
	r.Members = maps.Clone(r.Members)
	setOn(&r.Members, cluster, m)
	return r
}

// setOn sets a key of a map that may be nil.
func setOn[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[key] = value
}
