package wire_test

import (
	"strings"
	"testing"

	"github.com/navarch/navarch/wire"
)

func TestParseURL(t *testing.T) {
	tests := map[string]struct{ raw, url, err string }{
		"TLS":                   {raw: "tls://hub.example.com:4222", url: "tls://hub.example.com:4222"},
		"TLS without a port":    {raw: "tls://hub.example.com", url: "tls://hub.example.com:4222"},
		"WebSocket":             {raw: "wss://hub.example.com", url: "wss://hub.example.com:443"},
		"WebSocket with a path": {raw: "wss://hub.example.com:8443/nats", url: "wss://hub.example.com:8443/nats"},
		"an address":            {raw: "wss://[2001:db8::7]", url: "wss://[2001:db8::7]:443"},
		"no encryption":         {raw: "nats://hub.example.com:4222", err: `scheme "nats": connections are always encrypted`},
		"plain WebSocket":       {raw: "ws://hub.example.com", err: `scheme "ws"`},
		"a password":            {raw: "tls://me:secret@hub.example.com", err: `at "hub.example.com" has a credential`},
		"a broken password":     {raw: "tls://me:secret%zz@hub.example.com", err: "cannot be read"},
		"a path":                {raw: "tls://hub.example.com:4222/x", err: "more than a host"},
		"a query":               {raw: "wss://hub.example.com/?a=b", err: "more than a host"},
		"no host":               {raw: "tls://:4222", err: "lacks a host"},
		"no port":               {raw: "tls://hub:", err: "lacks a host or a port"},
		"a port that is none":   {raw: "tls://hub:x", err: "cannot be read"},
		"a name only":           {raw: "hub.example.com", err: "names no host"},
		"nothing":               {raw: "", err: "names no host"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			u, err := wire.ParseURL(test.raw)
			if (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Fatalf("error %v, want %q", err, test.err)
			}
			if err != nil {
				if strings.Contains(err.Error(), "secret") {
					t.Errorf("the error tells the password: %v", err)
				}
				return
			}
			if u.String() != test.url {
				t.Errorf("%s, want %s", u, test.url)
			}
		})
	}
}
