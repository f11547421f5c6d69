package enrol

import (
	"fmt"
	"maps"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// Rotate has a cluster's agent make another key. Its connection is cut, so that the
// agent asks, and is told; it comes back at once.
func (r Roll) Rotate(cluster fleet.ClusterName, now time.Time) (Roll, error) {
	m, ok := r.Members[cluster]
	switch {
	case !ok:
		return r, unknown(cluster)
	case !m.Revoked.IsZero():
		return r, fmt.Errorf("cluster %q was revoked: its key is worth nothing", cluster)
	case m.Waiting:
		return r, fmt.Errorf("cluster %q waits to be approved: it has no credential yet", cluster)
	}
	m.Exchange = true
	// What is signed within the second of a revocation is revoked too, and the agent asks
	// at once for what is to be good.
	return r.with(cluster, m).shut(m.end(now.Add(-time.Second)), m.Key), nil
}

// exchange decides about a request for a key to take the place of another. Only the
// key of the very same member makes room for one. Both are good from then on, until
// the new one is heard from: an answer may be lost.
func (r Roll) exchange(q Request, now time.Time) (Roll, error) {
	m, member := r.Members[q.Cluster]
	if !member && q.Known { // the roll was lost, the member was not
		m, member = Member{Key: q.Former, Joined: now}, true
	}
	_, shut := r.Revoked[q.Key]
	switch {
	case !member:
		return r, refuse(wire.RefusedUnknown, "cluster %q is not a member: there is no key to exchange (install its agent with what `navarch token create --cluster %s` prints)",
			q.Cluster, q.Cluster)
	case !m.Revoked.IsZero():
		return r, revoked(q.Cluster)
	case m.Key == q.Key: // heard from already
		return r, m.mayEnter(q.Cluster)
	case m.Key != q.Former:
		return r, otherKey(q.Cluster)
	case shut:
		return r, refuse(wire.RefusedKey, "cluster %q asks for a key that was taken back before: it has to be a new one", q.Cluster)
	case m.Waiting:
		return r, m.mayEnter(q.Cluster)
	}
	after := r
	if m.Next != q.Key {
		after = after.shut(m.end(now), m.Next)
	}
	m.Next = q.Key
	return after.with(q.Cluster, m), nil
}

// move ends an exchange: the new key was heard from, and the old one is worth nothing.
func (r Roll) move(cluster fleet.ClusterName, now time.Time) Roll {
	m := r.Members[cluster]
	before := m.Key
	m.Key, m.Since, m.Next, m.Exchange = m.Next, now, "", false
	return r.with(cluster, m).shut(m.end(now), before)
}

// end returns until when the JWTs of a member have to be taken back for none to be left,
// at a time that somebody has read from a clock before the last was signed.
func (m Member) end(now time.Time) time.Time {
	if m.Issued.After(now) {
		return m.Issued
	}
	return now
}

// shut takes back what was signed for keys until now.
func (r Roll) shut(now time.Time, keys ...string) Roll {
	r.Revoked = maps.Clone(r.Revoked)
	for _, key := range keys {
		if key != "" {
			setOn(&r.Revoked, key, now)
		}
	}
	return r
}

// Pinned notes whom the agent of a cluster says that it obeys.
func (r Roll) Pinned(cluster fleet.ClusterName, pins wire.Pins) Roll {
	m, ok := r.Members[cluster]
	if !ok {
		return r
	}
	m.Pins = pins
	return r.with(cluster, m)
}
