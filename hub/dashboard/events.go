package dashboard

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// The pace of a live page.
const (
	pace      = 250 * time.Millisecond // between two versions: four a second at most
	look      = time.Second            // between two looks for clusters that fell silent
	keepalive = 15 * time.Second       // so that proxies keep the stream
	patience  = 10 * time.Second       // with a viewer who does not read
)

// serveEvents tells a viewer the version of each new snapshot, by the id of an
// event. A viewer who comes back says which was the last; whatever happened in
// between is one event.
func (d *Dashboard) serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	d.viewers.Add(1)
	defer d.viewers.Add(-1)
	dirty, cancel := d.Board.Watch()
	defer cancel()

	stream := http.NewResponseController(w)
	write := func(text string) bool {
		_ = stream.SetWriteDeadline(time.Now().Add(patience)) // where it is not supported, a stuck viewer costs a goroutine
		_, err := fmt.Fprint(w, text)
		return err == nil && stream.Flush() == nil
	}
	seen, _ := strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 64) // 0: nothing yet
	if !write("retry: 2000\n\n") {
		return
	}
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	written := time.Now()
	for {
		if s := d.Board.Snapshot(d.Now()); s.Version != seen {
			seen, written = s.Version, time.Now()
			if !write(fmt.Sprintf("id: %d\ndata: %d\n\n", seen, seen)) || !wait(r, pace) {
				return
			}
			continue
		}
		if time.Since(written) >= keepalive {
			written = time.Now()
			if !write(":\n\n") {
				return
			}
		}
		select {
		case <-r.Context().Done():
			return
		case <-dirty:
		case <-ticker.C:
		}
	}
}

// wait waits, and tells whether the viewer is still there.
func wait(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
		return false
	case <-timer.C:
		return true
	}
}
