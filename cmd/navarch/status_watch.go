package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/term"
)

// The pace of a live table.
const (
	redraw    = time.Second     // ages grow also when nothing happens
	reconnect = 2 * time.Second // to a hub that went away
)

// errAnswered ends a stream of events that the hub ended.
var errAnswered = errors.New("the hub ended the stream")

// follow shows the status again whenever the hub has news, until ctx ends. A hub
// that goes away is waited for; the last that it said stays, with its age.
func (o statusOptions) follow(ctx context.Context, h hub, out, errs io.Writer) error {
	s, err := o.ask(ctx, h)
	if err != nil {
		return err
	}
	f := follower{statusOptions: o, hub: h, screen: newScreen(out), errs: errs, events: make(chan error, 1)}
	defer f.screen.close()
	f.take(s)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return h.listen(ctx, f.events) })
	group.Go(func() error { return f.run(ctx) })
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil // interrupted, which is how a watch ends
}

// follower draws what a hub says. One goroutine owns it.
type follower struct {
	statusOptions
	hub    hub
	screen *screen
	errs   io.Writer
	events chan error // nil: news; otherwise why there will be none for now

	last  status
	asked time.Time // when last came, by the clock of this machine
	lost  error     // why the hub cannot be asked now
}

func (f *follower) run(ctx context.Context) error {
	if err := f.draw(); err != nil {
		return err
	}
	ticker := time.NewTicker(redraw)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			if !f.screen.live() {
				continue
			}
		case err := <-f.events:
			if err == nil {
				err = f.ask(ctx)
			}
			f.lose(err)
			if err != nil && !f.screen.live() {
				continue
			}
		}
		if err := f.draw(); err != nil {
			return err
		}
	}
}

func (f *follower) ask(ctx context.Context) error {
	s, err := f.statusOptions.ask(ctx, f.hub)
	if err == nil {
		f.take(s)
	}
	return err
}

func (f *follower) take(s status) { f.last, f.asked = s, time.Now() }

// lose notes why the hub cannot be asked, and says it once where no screen will.
func (f *follower) lose(err error) {
	if err != nil && f.lost == nil && !f.screen.live() {
		_, _ = fmt.Fprintln(f.errs, "No news for now:", err)
	}
	f.lost = err
}

// draw draws the last that the hub said, as of now.
func (f *follower) draw() error {
	now := f.last.At.Add(time.Since(f.asked))
	var text strings.Builder
	if err := f.print(&text, f.last, now); err != nil {
		return err
	}
	if f.lost != nil {
		fmt.Fprintf(&text, "\nNo news for now, this is %s old: %v\n", age(f.last.At, now), f.lost)
	}
	return f.screen.draw(text.String())
}

// listen sends nil for each piece of news and an error when the hub goes away,
// which it then tries to reach again, until ctx ends.
func (h hub) listen(ctx context.Context, events chan error) error {
	for {
		err := h.stream(ctx, events)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		tell(events, err)
		timer := time.NewTimer(reconnect)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// stream follows one stream of events to its end.
func (h hub) stream(ctx context.Context, events chan error) error {
	response, err := h.send(ctx, http.MethodGet, "/events", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		return h.noHub("/events")
	}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "data:") {
			tell(events, nil)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("follow the hub: %w", err)
	}
	return errAnswered
}

// tell replaces the event that nobody has taken yet.
func tell(events chan error, event error) {
	select {
	case <-events: //nolint:errcheck // an event that is older than this one
	default:
	}
	events <- event // there is room, as only one goroutine sends
}

// screen draws over what it drew before where it is a terminal, and below it
// everywhere else.
type screen struct {
	out      io.Writer
	terminal *os.File // nil: none
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		s.terminal = file
		_, _ = file.WriteString("\x1b[?25l\x1b[2J") // hide the cursor, clear
	}
	return s
}

// live tells whether it is worth drawing what has only grown older.
func (s *screen) live() bool { return s.terminal != nil }

func (s *screen) close() {
	if s.terminal != nil {
		_, _ = s.terminal.WriteString("\x1b[?25h") // show the cursor
	}
}

func (s *screen) draw(text string) error {
	if s.terminal != nil {
		width, height, err := term.GetSize(int(s.terminal.Fd()))
		if err == nil {
			text = fit(text, width, height)
		}
		text = "\x1b[H" + strings.ReplaceAll(text, "\n", "\x1b[K\n") + "\x1b[J"
	}
	_, err := io.WriteString(s.out, text)
	return err
}

// fit cuts text so that a terminal of this size shows it without scrolling.
func fit(text string, width, height int) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if most := max(height-1, 1); len(lines) > most {
		hidden := len(lines) - most + 1
		lines = append(lines[:most-1], fmt.Sprintf("... and %s more", plural(hidden, "line")))
	}
	for i, line := range lines {
		if runes := []rune(line); len(runes) > width {
			lines[i] = string(runes[:width])
		}
	}
	return strings.Join(lines, "\n") + "\n"
}
