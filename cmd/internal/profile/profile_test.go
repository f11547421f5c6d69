package profile_test

import (
	"testing"

	"github.com/navarch/navarch/cmd/internal/profile"
)

func TestServeRefusesTheNetwork(t *testing.T) {
	for name, address := range map[string]string{
		"every address":      ":0",
		"another machine's":  "192.0.2.1:0",
		"every IPv6 address": "[::]:0",
		"a name":             "localhost:0",
		"no port":            "127.0.0.1",
	} {
		t.Run(name, func(t *testing.T) {
			if err := profile.Serve(address); err == nil {
				t.Errorf("Serve(%q) serves", address)
			}
		})
	}
	if err := profile.Serve("127.0.0.1:0"); err != nil {
		t.Error(err)
	}
}
