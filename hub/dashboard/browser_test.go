package dashboard

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/view"
)

// browse opens a page in a real browser and returns how to do things there. The
// test fails if the page writes a warning or an error to the console, which is
// also where the browser says what the content security policy kept out.
func browse(t *testing.T, address string) (do func(...chromedp.Action[chromedp.Void]), ask func(script string) string) {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes a while")
	}
	if !slices.ContainsFunc([]string{"chromium", "chromium-browser", "google-chrome"}, func(name string) bool {
		_, err := exec.LookPath(name)
		return err == nil
	}) {
		t.Skip("there is no Chromium: `make browser` says how to get one")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	do = func(actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		limited, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		if err := chromedp.Do(limited, actions...); err != nil {
			t.Fatal(err)
		}
	}
	ask = func(script string) string {
		t.Helper()
		answer, err := chromedp.Run(ctx, chromedp.Evaluate[string](script))
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		return answer
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1400, 900)); err != nil {
		t.Fatal(err)
	}
	console := chromedp.Console(ctx)
	t.Cleanup(func() {
		ask(`console.info("the end"), ""`)
		for message, err := range console {
			if err != nil || message.Text == "the end" {
				return
			}
			if message.Type != chromedp.ConsoleInfo && !strings.Contains(message.Text, "net::ERR_") { // connections end here on purpose
				t.Errorf("console: %s", message)
			}
		}
	})
	do(chromedp.Navigate(address))
	return do, ask
}

// shows waits until the page has an element.
func shows(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.WaitVisible(chromedp.CSS(selector))
}

// TestBrowser follows a fleet that changes on a page that stays open, and looks
// whether the page leaves alone what is the reader's.
func TestBrowser(t *testing.T) {
	s := small()
	board := s.board()
	server := newServer(t, Config{Board: board, Now: func() time.Time { return noon }})
	do, ask := browse(t, server.URL+"/clusters/us-1")
	do(shows("#live[data-state=on]"), shows("#app-shop .state.is-ready"))
	ask(`document.querySelector("#app-shop").marked = "the same element";
		document.querySelector("#app-ingress-objects").open = false;
		document.querySelector("#app-metrics a").focus();
		scrollTo(0, 300); ""`)

	s.announce(board, "shop", "us-1")
	do(shows("#app-shop .state.is-pending"), shows("#app-shop .lag"))
	for script, want := range map[string]string{
		`document.querySelector("#app-shop").marked`:                      "the same element",
		`String(document.querySelector("#app-ingress-objects").open)`:     "false",
		`String(document.querySelector("#app-metrics-objects").open)`:     "true",
		`document.activeElement.textContent`:                              "metrics",
		`String(scrollY)`:                                                 "300",
		`document.querySelector("#app-shop .lag time").textContent`:       "12 s",
		`document.querySelector("#live .words").textContent`:              "Live",
		`String(document.querySelectorAll("#app-shop-objects").length)`:   "1",
		`getComputedStyle(document.querySelector(".top")).position`:       "sticky",
		`String(document.documentElement.scrollWidth <= innerWidth)`:      "true",
		`document.querySelector("#app-shop .message").textContent.trim()`: "announced; the agent's last word is about earlier content",
	} {
		if got := ask(script); got != want {
			t.Errorf("%s is %q, want %q", script, got, want)
		}
	}

	board.Commit(view.Commit{Revision: revisionOf("d"), Problems: fleet.Problems{{File: "fleet.yaml", Message: "bad"}}})
	do(shows(".alerts-line"))
	server.CloseClientConnections()
	do(shows("#live[data-state=lost]"), shows("#live[data-state=on]"))
}

// TestBrowserReleases presses the button.
func TestBrowserReleases(t *testing.T) {
	board := holdStory()
	released := make(chan string, 1)
	server := newServer(t, Config{
		Board: board,
		Now:   func() time.Time { return noon },
		Release: func(_ context.Context, revision string) error {
			board.Plan(small().plan)
			released <- revision
			return nil
		},
	})
	do, ask := browse(t, server.URL)
	do(shows("#alert-hold"), shows("#live[data-state=on]"))
	ask(`document.querySelector("#alert-hold button").click(), ""`)
	if len(released) > 0 {
		t.Error("released without saying that one has read what is deleted")
	}
	ask(`document.querySelector("#alert-hold input[type=checkbox]").click(), document.querySelector("#alert-hold button").click(), ""`)
	do(chromedp.WaitNotPresent(chromedp.CSS("#alert-hold")))
	if got := <-released; got != revisionOf("c") {
		t.Errorf("released %s", got)
	}
}

// TestBrowserFits looks at every story on a telephone: nothing is wider than the
// screen but what scrolls by itself.
func TestBrowserFits(t *testing.T) {
	for _, name := range []string{"empty", "failing", "hold", "refused", "strange"} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, Config{Board: stories[name](), Now: func() time.Time { return noon }})
			do, ask := browse(t, server.URL)
			for _, address := range pagesOf(t, name) {
				do(chromedp.EmulateViewport(390, 800), chromedp.Navigate(server.URL+address), shows("#live[data-state=on]"))
				if got := ask(`String(document.documentElement.scrollWidth)`); got != "390" {
					t.Errorf("%s is %s wide", address, got)
				}
			}
		})
	}
}

// TestBrowserFitsPeople is the same for the pages of people.
func TestBrowserFitsPeople(t *testing.T) {
	server := newServerAs(t, admin, Config{Board: joiningStory(), People: storyPeople, Now: func() time.Time { return noon }})
	do, ask := browse(t, server.URL)
	for _, address := range []string{"/sign-in?why=role", "/add-cluster", "/members", "/joining/edge-9", "/joining/us-1", "/audit", "/"} {
		do(chromedp.EmulateViewport(390, 800), chromedp.Navigate(server.URL+address), shows("main"))
		if got := ask(`String(document.documentElement.scrollWidth)`); got != "390" {
			t.Errorf("%s is %s wide", address, got)
		}
	}
}
