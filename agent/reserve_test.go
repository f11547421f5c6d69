package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/navarch/navarch/fleet"
)

func content(word string) fleet.Content {
	return fleet.Content{Overlay: fleet.Digest(word), Base: "base"}
}

// TestReservations plays announcements and reservations in the orders that happen,
// while somebody waits to delete.
func TestReservations(t *testing.T) {
	type contents = map[fleet.AppName]fleet.Content
	for name, test := range map[string]struct {
		play func(r *reservations)
		free bool // he who waits may go on
	}{
		"nothing is expected": {func(*reservations) {}, true},
		"nothing changes":     {func(r *reservations) { r.expect(contents{}) }, true},
		"one app is late":     {func(r *reservations) { r.expect(contents{"shop": content("a")}) }, false},
		"it has come":         {func(r *reservations) { r.expect(contents{"shop": content("a")}); r.make("shop", content("a")) }, true},
		"one of two has come": {func(r *reservations) {
			r.expect(contents{"shop": content("a"), "blog": content("a")})
			r.make("shop", content("a"))
		}, false},
		"what it wanted before": {func(r *reservations) { r.expect(contents{"shop": content("b")}); r.make("shop", content("a")) }, false},
		"it has another app's":  {func(r *reservations) { r.expect(contents{"shop": content("a")}); r.make("blog", content("a")) }, false},
		"superseded, late again": {func(r *reservations) {
			r.expect(contents{"shop": content("a")})
			r.make("shop", content("a"))
			r.expect(contents{"shop": content("b")})
		}, false},
		"superseded by the same": {func(r *reservations) {
			r.expect(contents{"shop": content("a")})
			r.make("shop", content("a"))
			r.expect(contents{"shop": content("a"), "blog": content("a")})
			r.make("blog", content("a"))
		}, true},
		"superseded by nothing": {func(r *reservations) { r.expect(contents{"shop": content("a")}); r.expect(contents{}) }, true},
		"removed and wanted again": {func(r *reservations) {
			r.expect(contents{"shop": content("a")})
			r.make("shop", content("a"))
			r.expect(contents{})
			r.expect(contents{"shop": content("a")})
		}, false},
		"reserved without a reason": {func(r *reservations) { r.make("shop", content("a")); r.expect(contents{"shop": content("a")}) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r reservations
				ctx, cancel := context.WithCancel(t.Context())
				r.expect(contents{"first": content("a")})
				done := make(chan error, 1)
				go func() { done <- r.wait(ctx) }()
				synctest.Wait()
				test.play(&r)
				if name == "nothing is expected" {
					r.make("first", content("a"))
				}
				synctest.Wait()
				select {
				case err := <-done:
					if !test.free || err != nil {
						t.Errorf("went on with %v", err)
					}
				default:
					if test.free {
						t.Error("still waits")
					}
				}
				cancel()
				synctest.Wait()
				if !test.free {
					if err := <-done; !errors.Is(err, context.Canceled) {
						t.Errorf("cut off with %v", err)
					}
				}
			})
		})
	}
}
