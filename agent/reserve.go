package agent

import (
	"context"
	"sync"

	"github.com/navarch/navarch/fleet"
)

// reservations tells whether every app that is about to change has its objects in
// the inventory. Nobody deletes anything before, so that an object that moves
// between apps is never deleted, whichever of them is late or fails. The zero value
// expects nothing. It is for any number of goroutines.
type reservations struct {
	mu      sync.Mutex
	made    map[fleet.AppName]fleet.Content // what each app reserved last
	missing map[fleet.AppName]fleet.Content // what each has yet to reserve
	changed chan struct{}                   // closed when missing changes; nil while nobody waits
}

// expect sets what every app that is to change wants to become. What an app has
// reserved and still wants is not reserved again.
func (r *reservations) expect(wanted map[fleet.AppName]fleet.Content) {
	r.mu.Lock()
	defer r.mu.Unlock()
	made := map[fleet.AppName]fleet.Content{}
	r.missing = map[fleet.AppName]fleet.Content{}
	for app, content := range wanted {
		if before, ok := r.made[app]; ok && before == content {
			made[app] = content
		} else {
			r.missing[app] = content
		}
	}
	r.made = made
	r.signal()
}

// make notes that an app's objects are in the inventory.
func (r *reservations) make(app fleet.AppName, content fleet.Content) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.missing[app] != content {
		return // of an announcement before, or not waited for
	}
	r.made[app] = content
	delete(r.missing, app)
	r.signal()
}

// signal wakes those who wait. The caller holds the lock.
func (r *reservations) signal() {
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// wait returns when nothing is missing, or ctx ends.
func (r *reservations) wait(ctx context.Context) error {
	for {
		r.mu.Lock()
		if len(r.missing) == 0 {
			r.mu.Unlock()
			return ctx.Err()
		}
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
