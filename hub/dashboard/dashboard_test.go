package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/wire"
)

func TestAPI(t *testing.T) {
	handler := newStory(failingStory())
	w := get(t, handler, "/api/v1/clusters/us-1")
	var cluster oneClusterJSON
	if err := json.Unmarshal(w.Body.Bytes(), &cluster); err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, app := range cluster.Apps {
		said = append(said, fmt.Sprintf("%s %s %t %d", app.App, app.Health, app.Behind, len(app.Objects)))
	}
	want := []string{"ingress Ready false 4", "metrics Ready false 4", "payments Ready false 4", "shop Failed true 4"}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("apps of us-1 (-want +got):\n%s", diff)
	}

	var clusters clustersJSON
	if err := json.Unmarshal(get(t, handler, "/api/v1/clusters?health=failed&health=Pending&size=1&page=2").Body.Bytes(), &clusters); err != nil {
		t.Fatal(err)
	}
	if clusters.Total != 2 || clusters.Pages != 2 || len(clusters.Clusters) != 1 || clusters.Clusters[0].Name != "us-1" {
		t.Errorf("second page of clusters that are failed or pending: %+v", clusters)
	}

	var whole fleetJSON
	if err := json.Unmarshal(get(t, newStory(holdStory()), "/api/v1/fleet").Body.Bytes(), &whole); err != nil {
		t.Fatal(err)
	}
	if whole.Hold == nil || whole.Hold.Deleted != 62 || whole.Cells["Ready"] != 11 || whole.Connected != 3 ||
		whole.Announced.Revision != revisionOf("b") || whole.Accepted.Revision != revisionOf("c") {
		t.Errorf("fleet: %+v", whole)
	}

	for address, status := range map[string]int{
		"/api/v1/apps":                  http.StatusOK,
		"/api/v1/apps/shop":             http.StatusOK,
		"/api/v1/apps/none":             http.StatusNotFound,
		"/api/v1/clusters/none":         http.StatusNotFound,
		"/api/v1/clusters?health=well":  http.StatusBadRequest,
		"/api/v1/clusters?page=0":       http.StatusBadRequest,
		"/api/v1/clusters?app=Not_Ours": http.StatusBadRequest,
		"/api/v1/clusters?page=999":     http.StatusOK,
		"/api/v2/fleet":                 http.StatusNotFound,
		"/clusters/none":                http.StatusNotFound,
		"/apps/none":                    http.StatusNotFound,
		"/?page=x":                      http.StatusBadRequest,
		"/assets/none.css":              http.StatusNotFound,
		"/assets/dashboard.css":         http.StatusOK,
		"/healthz":                      http.StatusOK,
		"/readyz":                       http.StatusServiceUnavailable,
	} {
		if w := get(t, handler, address); w.Code != status {
			t.Errorf("%s: %d, want %d: %s", address, w.Code, status, w.Body)
		}
	}
}

func TestETag(t *testing.T) {
	board := small().board()
	handler := newStory(board)
	ask := func(etag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/clusters", nil)
		r.Header.Set("If-None-Match", etag)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	etag := ask("").Header().Get("ETag")
	if w := ask(`"1", W/` + etag); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("the same version again: %d", w.Code)
	}
	board.Commit(view.Commit{Revision: "main@sha1:next"})
	if w := ask(etag); w.Code != http.StatusOK {
		t.Errorf("a newer version: %d", w.Code)
	}
}

func TestRelease(t *testing.T) {
	var released []string
	handler := as(operator, Config{Board: holdStory(), Release: func(_ context.Context, revision string) error {
		if revision != "main@sha1:held" {
			return errors.New("that is not held")
		}
		released = append(released, revision)
		return nil
	}})
	form := func(values url.Values) io.Reader { return strings.NewReader(values.Encode()) }
	tests := map[string]struct {
		kind, site string
		body       io.Reader
		status     int
		releases   int
	}{
		"json":              {"application/json", "", strings.NewReader(`{"revision":"main@sha1:held"}`), http.StatusOK, 1},
		"form":              {"application/x-www-form-urlencoded", "same-origin", form(url.Values{"revision": {"main@sha1:held"}, "agree": {"yes"}}), http.StatusSeeOther, 1},
		"form, not agreed":  {"application/x-www-form-urlencoded", "same-origin", form(url.Values{"revision": {"main@sha1:held"}}), http.StatusBadRequest, 0},
		"another commit":    {"application/json", "", strings.NewReader(`{"revision":"main@sha1:other"}`), http.StatusConflict, 0},
		"no commit":         {"application/json", "", strings.NewReader(`{}`), http.StatusBadRequest, 0},
		"unknown field":     {"application/json", "", strings.NewReader(`{"revision":"main@sha1:held","force":true}`), http.StatusBadRequest, 0},
		"plain text":        {"text/plain", "", strings.NewReader(`{"revision":"main@sha1:held"}`), http.StatusUnsupportedMediaType, 0},
		"from another site": {"application/x-www-form-urlencoded", "cross-site", form(url.Values{"revision": {"main@sha1:held"}, "agree": {"yes"}}), http.StatusForbidden, 0},
		"too long":          {"application/json", "", strings.NewReader(`{"revision":"` + strings.Repeat("x", 20<<10) + `"}`), http.StatusBadRequest, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			released = nil
			r := httptest.NewRequest(http.MethodPost, "/api/v1/release", test.body)
			r.Header.Set("Content-Type", test.kind)
			if test.site != "" {
				r.Header.Set("Sec-Fetch-Site", test.site)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != test.status || len(released) != test.releases {
				t.Errorf("%d and %d releases, want %d and %d: %s", w.Code, len(released), test.status, test.releases, w.Body)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	handler := newStory(small().board())
	for _, address := range []string{"/", "/none", "/api/v1/fleet", "/assets/dashboard.js", "/metrics"} {
		h := get(t, handler, address).Header()
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(h.Get("Content-Security-Policy"), want) {
				t.Errorf("%s: the policy lacks %s", address, want)
			}
		}
		if strings.Contains(h.Get("Content-Security-Policy"), "unsafe") || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", address, h)
		}
	}
	page := get(t, handler, "/").Body.String()
	for _, name := range []string{"dashboard.css", "dashboard.js", "icon.svg"} {
		_, rest, ok := strings.Cut(page, "/assets/"+name+"?v=")
		version, _, _ := strings.Cut(rest, `"`)
		w := get(t, handler, "/assets/"+name+"?v="+version)
		if !ok || w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Minute: "0 s", 999 * time.Millisecond: "0 s", 59 * time.Second: "59 s", time.Minute: "1 min",
		59*time.Minute + 59*time.Second: "59 min", 47 * time.Hour: "47 h", 48 * time.Hour: "2 d",
	} {
		if got := lasting(d); got != want {
			t.Errorf("%s lasts %q, want %q", d, got, want)
		}
	}
	for revision, want := range map[string]string{
		"main@sha1:4f0c2a1b9e": "main@4f0c2a1", "release/1.2@sha1:4f0c2a1b9e": "release/1.2@4f0c2a1", "4f0c2a1b9e": "4f0c2a1", "": "",
	} {
		if got := shortRevision(revision); got != want {
			t.Errorf("revision %q is %q, want %q", revision, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := number(n); got != want {
			t.Errorf("number %d is %q, want %q", n, got, want)
		}
	}
	for address, want := range map[string]string{
		"https://git.example.com/fleet": "https://git.example.com/fleet", "javascript:alert(1)": "", "git@example.com:fleet": "", "https:x": "", "file:///etc": "",
	} {
		if got := webLink(address); got != want {
			t.Errorf("link %q is %q, want %q", address, got, want)
		}
	}
	for quantities, want := range map[string]string{"32Gi": "32 GiB", "8": "8", "41500m": "41.5", "33554432Ki": "32 GiB", "4063232Ki": "3.9 GiB", "512Ki": "512Ki", "no": "no"} {
		if got := quantity(quantities); got != want {
			t.Errorf("quantity %q is %q, want %q", quantities, got, want)
		}
	}
	if b := barOf(view.Counts{view.Ready: 9_999, view.Failed: 1}); len(b) != 2 || b[1].Width < 2 || b[0].Width+b[1].Width > 100.1 {
		t.Errorf("one failed of 10,000 is not to be seen: %+v", b)
	}
}

// TestRollout: how far a workload is, as pages say it.
func TestRollout(t *testing.T) {
	for want, r := range map[string]wire.Replicas{
		"5 replicas":                           {Wanted: 5, Updated: 5, Ready: 5, Available: 5},
		"1 replica":                            {Wanted: 1, Updated: 1, Ready: 1, Available: 1},
		"0 replicas":                           {},
		"3 of 5 updated, 2 ready":              {Wanted: 5, Updated: 3, Ready: 2, Available: 2},
		"5 of 5 updated, 5 ready, 4 available": {Wanted: 5, Updated: 5, Ready: 5, Available: 4},
		"1,200 of 2,000 updated, 1,100 ready":  {Wanted: 2000, Updated: 1200, Ready: 1100, Available: 1100},
		"0 of 3 updated, 3 ready":              {Wanted: 3, Ready: 3, Available: 3},
		"5 of 5 updated, 4 ready, 5 available": {Wanted: 5, Updated: 5, Ready: 4, Available: 5},
	} {
		if got := rollout(r); got != want {
			t.Errorf("%+v: %q, want %q", r, got, want)
		}
	}
}
