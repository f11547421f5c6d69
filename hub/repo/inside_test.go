package repo

import (
	"bytes"
	"compress/zlib"
	"crypto/rand"
	"crypto/sha1"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPace(t *testing.T) {
	failed := outcome{failed: true}
	cases := map[string]struct {
		poll time.Duration
		luck float64
		said []outcome
		want []time.Duration
	}{
		"nothing new":         {time.Minute, 0.5, []outcome{{}, {}}, []time.Duration{time.Minute, time.Minute}},
		"shortest":            {time.Minute, 0, []outcome{{}}, []time.Duration{54 * time.Second}},
		"longest":             {time.Minute, 1, []outcome{{}}, []time.Duration{66 * time.Second}},
		"nudged":              {time.Minute, 0.5, []outcome{{nudged: true, changed: true}}, []time.Duration{time.Minute}},
		"nudged too early":    {time.Minute, 0.5, []outcome{{nudged: true}, {}}, []time.Duration{2 * time.Second, time.Minute}},
		"nudged, short polls": {time.Second, 0.5, []outcome{{nudged: true}}, []time.Duration{time.Second}},
		"failures": {time.Minute, 0.5, []outcome{failed, failed, failed, failed, failed, failed, failed, failed, failed, {}, failed}, []time.Duration{
			1e9, 2e9, 4e9, 8e9, 16e9, 32e9, 64e9, 2 * time.Minute, 2 * time.Minute, time.Minute, 1e9,
		}},
		"failures, seldom": {time.Hour, 0.5, append(make([]outcome, 0), repeat(failed, 100)...), append([]time.Duration{
			1e9, 2e9, 4e9, 8e9, 16e9, 32e9, 64e9, 128e9, 256e9, 512e9, 1024e9, 2048e9,
		}, repeat(time.Hour, 88)...)},
		"failures, spread": {time.Minute, 0, []outcome{failed, failed}, []time.Duration{5e8, 1e9}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := pace{poll: c.poll}
			var got []time.Duration
			for _, o := range c.said {
				got = append(got, p.next(o, c.luck))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("waits (-want +got):\n%s", diff)
			}
		})
	}
}

func repeat[T any](value T, count int) []T {
	values := make([]T, count)
	for i := range values {
		values[i] = value
	}
	return values
}

// TestGuard plays servers that would keep a fetch busy for ever.
func TestGuard(t *testing.T) {
	get := func(t *testing.T, method string, status int, body io.Reader) ([]byte, error) {
		t.Helper()
		g := &guard{next: played(func(r *http.Request) *http.Response {
			stop, w := io.Pipe()
			go func() {
				_, err := io.Copy(w, body)
				if err == nil {
					<-r.Context().Done()
					err = r.Context().Err()
				}
				w.CloseWithError(err)
			}()
			return &http.Response{StatusCode: status, Body: stop}
		})}
		request, err := http.NewRequestWithContext(t.Context(), method, "http://git.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := g.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return io.ReadAll(response.Body)
	}
	t.Run("silent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			content, err := get(t, http.MethodGet, http.StatusOK, strings.NewReader("begun"))
			if string(content) != "begun" || !errors.Is(err, errSilent) || time.Since(start) != maxSilence {
				t.Errorf("%q, %v after %s", content, err, time.Since(start))
			}
		})
	})
	t.Run("slow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			content, err := get(t, http.MethodGet, http.StatusOK, &slow{count: 10, pause: maxSilence - time.Second})
			if len(content) != 10 || !errors.Is(err, errSilent) {
				t.Errorf("%d bytes, %v", len(content), err)
			}
		})
	})
	t.Run("endless refs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			if _, err := get(t, http.MethodGet, http.StatusOK, zeros{}); !errors.Is(err, errTooMuch) {
				t.Error(err)
			}
		})
	})
	t.Run("endless error", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			if content, err := get(t, http.MethodGet, http.StatusTeapot, zeros{}); len(content) != maxMessage || err != nil {
				t.Errorf("%d bytes, %v", len(content), err)
			}
		})
	})
}

// played is a server that is not there.
type played func(*http.Request) *http.Response

func (p played) RoundTrip(r *http.Request) (*http.Response, error) { return p(r), nil }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// slow gives a byte after each pause.
type slow struct {
	count int
	pause time.Duration
}

func (s *slow) Read(p []byte) (int, error) {
	if s.count == 0 {
		return 0, io.EOF
	}
	<-time.After(s.pause)
	s.count--
	return copy(p, "x"), nil
}

// TestQuote hides a password wherever a server may repeat it.
func TestQuote(t *testing.T) {
	cases := map[string]struct{ username, password, text, want string }{
		"nothing to hide": {"", "", "hello", "hello"},
		"password":        {"ada", "a b&c", "it is a b&c!", "it is ***!"},
		"in a query":      {"ada", "a b&c", "?p=a+b%26c", "?p=***"},
		"in a path":       {"ada", "a b&c", "/a%20b&c/", "/***/"},
		"in a header":     {"ada", "a b&c", "Basic YWRhOmEgYiZj", "Basic ***"},
		"token as a name": {"ghp_1", "", "who is ghp_1", "who is ***"},
		"lines":           {"", "", "a\r\n\tb\x1b[31m", "a b [31m"},
		"long":            {"", "", strings.Repeat("ab ", 100), strings.Repeat("ab ", 66) + "ab…"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := &remote{masks: masks(c.username, c.password)}
			if got := r.quote(errors.New(c.text)); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestMachineIsNotTheStore shows that a full disk does not make the store suspect.
func TestMachineIsNotTheStore(t *testing.T) {
	s := &store{alarm: func() {}}
	err := s.damage(&errno{syscall.ENOSPC})
	if s.damaged.Load() || errors.As(err, new(*damageError)) || !strings.Contains(err.Error(), "make room") {
		t.Errorf("damaged %t: %v", s.damaged.Load(), err)
	}
	if err := s.damage(errors.New("zlib: invalid header")); !s.damaged.Load() || !errors.As(err, new(*damageError)) {
		t.Errorf("damaged %t: %v", s.damaged.Load(), err)
	}
}

// errno is an error of the operating system as os wraps it.
type errno struct{ error }

func (e *errno) Unwrap() error { return e.error }

// TestFullDisk takes in a pack on a disk that is too small. Mounting one is for
// root.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no small disk can be mounted: %s", out)
	}
	defer func() {
		if out, err := exec.Command("umount", "--lazy", dir).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}()
	s := newStore(filepath.Join(dir, "store-000001"), 1, &remote{ref: "refs/heads/main"})
	if err := os.MkdirAll(s.path("objects/pack"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := onDisk(s.add(bytes.NewReader(randomPack(t, 1<<20))))
	if err == nil || !strings.Contains(err.Error(), "no space left on device (make room") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
	if left, err := filepath.Glob(s.path("objects/pack/*")); len(left) > 0 || err != nil {
		t.Errorf("%q is left behind, %v", left, err)
	}
	if s.damaged.Load() {
		t.Error("the store counts as damaged")
	}
}

// randomPack is a pack of one blob that cannot be made smaller.
func randomPack(t *testing.T, size int) []byte {
	t.Helper()
	content := make([]byte, size)
	_, _ = rand.Read(content)
	var b bytes.Buffer
	b.WriteString("PACK\x00\x00\x00\x02\x00\x00\x00\x01")
	b.Write(objectHeader(3, size))
	w := zlib.NewWriter(&b)
	_, _ = w.Write(content)
	_ = w.Close() // it is memory
	sum := sha1.Sum(b.Bytes())
	return append(b.Bytes(), sum[:]...)
}

// objectHeader is what an object of a pack begins with.
func objectHeader(kind byte, size int) []byte {
	header := []byte{kind<<4 | byte(size&15)}
	for size >>= 4; size > 0; size >>= 7 {
		header[len(header)-1] |= 0x80
		header = append(header, byte(size&127))
	}
	return header
}

// FuzzIntake inspects packs of any form: it ends, and passes on what it takes in.
func FuzzIntake(f *testing.F) {
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x00\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e"))
	f.Add([]byte("PACK\x00\x00\x00\x02\xff\xff\xff\xff"))
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01\x31x\x9c"))
	f.Fuzz(func(t *testing.T, pack []byte) {
		var passed bytes.Buffer
		if err := inspect(bytes.NewReader(pack), &passed); err == nil && passed.Len() > 0 && !bytes.Equal(passed.Bytes(), pack) {
			t.Errorf("%d bytes of %d were passed on", passed.Len(), len(pack))
		}
	})
}
