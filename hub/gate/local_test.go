package gate

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestLocal: who is on the hub's machine, and who only seems to be.
func TestLocal(t *testing.T) {
	for name, test := range map[string]struct {
		remote, host, header string
		old                  bool
		want                 bool
	}{
		"a browser here":               {remote: "127.0.0.1:4000", host: "127.0.0.1:8080", want: true},
		"by name":                      {remote: "127.0.0.1:4000", host: "localhost:8080", want: true},
		"by IPv6":                      {remote: "[::1]:4000", host: "[::1]:8080", want: true},
		"mapped":                       {remote: "[::ffff:127.0.0.1]:4000", host: "127.0.0.1", want: true},
		"from elsewhere":               {remote: "192.0.2.1:4000", host: "127.0.0.1:8080"},
		"a name made to lead here":     {remote: "127.0.0.1:4000", host: "evil.example.com:8080"},
		"a name that begins like it":   {remote: "127.0.0.1:4000", host: "localhost.evil.example.com"},
		"an address that begins so":    {remote: "127.0.0.1:4000", host: "127.0.0.1.evil.example.com"},
		"no host":                      {remote: "127.0.0.1:4000"},
		"through a proxy":              {remote: "127.0.0.1:4000", host: "127.0.0.1:8080", header: "X-Forwarded-For"},
		"through a proxy that says so": {remote: "127.0.0.1:4000", host: "127.0.0.1:8080", header: "Via"},
		"through one of HTTP/1.0":      {remote: "127.0.0.1:4000", host: "127.0.0.1:8080", old: true},
		"no address":                   {remote: "@", host: "localhost"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr, r.Host = test.remote, test.host
		if test.header != "" {
			r.Header.Set(test.header, "192.0.2.1")
		}
		if test.old {
			r.ProtoMajor, r.ProtoMinor = 1, 0
		}
		if got := local(r); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for listen, want := range map[string]bool{
		"127.0.0.1:8080": true, "localhost:8080": true, "[::1]:8080": true, "127.9.9.9:1": true,
		":8080": false, "0.0.0.0:8080": false, "[::]:8080": false, "192.0.2.1:8080": false, "hub.example.com:8080": false, "": false,
	} {
		if got := LoopbackOnly(listen); got != want {
			t.Errorf("listens on %q: %v", listen, got)
		}
	}
}
