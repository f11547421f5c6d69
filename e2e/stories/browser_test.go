package stories

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/chromedp/chromedp"
	"github.com/rogpeppe/go-internal/testscript"
)

// browser is a real one that looks at the hub's dashboard.
type browser struct {
	ctx  context.Context
	stop func()
}

// quietly keeps Chromium from calling anybody but the dashboard.
var quietly = append(chromedp.DefaultExecAllocatorOptions[:],
	chromedp.NoSandbox,
	chromedp.Flag("disable-quic", true),
	chromedp.Flag("disable-component-update", true),
	chromedp.WindowSize(1400, 1000),
)

func startBrowser() (*browser, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		options := slices.Concat(quietly, []chromedp.ExecAllocatorOption{chromedp.ExecPath(path)})
		allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, cancel := chromedp.NewContext(allocator)
		return &browser{ctx: ctx, stop: func() { cancel(); end() }}, nil
	}
	return nil, errors.New("there is no Chromium to look at the dashboard with: run `make browser`")
}

// browse PATH FILE opens a page of the hub in the browser and keeps a picture.
func browse(_ context.Context, ts *testscript.TestScript, s *story, args []string) error {
	if s.browser == nil {
		b, err := startBrowser()
		if err != nil {
			return err
		}
		s.browser = b
		ts.Defer(b.stop)
	}
	if err := chromedp.Do(s.browser.ctx, chromedp.Navigate(s.Hub.URL+args[0])); err != nil {
		return fmt.Errorf("browse %s: %w", args[0], err)
	}
	return s.picture(args[1])
}

// browser-sees TEXT waits until the page that is open, without a reload, shows a text.
func browserSees(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	return until(ctx, func() error {
		text, err := chromedp.Run(s.browser.ctx, chromedp.Evaluate[string](`document.querySelector("main")?.innerText ?? ""`))
		if err != nil {
			return err
		}
		reloads, err := chromedp.Run(s.browser.ctx, chromedp.Evaluate[int](`performance.getEntriesByType("navigation").filter(n => n.type === "reload").length`))
		if err != nil {
			return err
		}
		if reloads > 0 {
			return errors.New("the page was reloaded")
		}
		if !strings.Contains(text, args[0]) {
			return fmt.Errorf("the browser does not show %q", args[0])
		}
		return nil
	})
}

// screenshot FILE keeps a picture of the page as it is.
func screenshot(_ context.Context, _ *testscript.TestScript, s *story, args []string) error {
	return s.picture(args[0])
}

// picture writes what the browser shows to where NAVARCH_ARTIFACTS says.
func (s *story) picture(file string) error {
	png, err := chromedp.Run(s.browser.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		return fmt.Errorf("take a picture: %w", err)
	}
	dir := os.Getenv("NAVARCH_ARTIFACTS")
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "dashboard-"+file), png, 0o644)
}
