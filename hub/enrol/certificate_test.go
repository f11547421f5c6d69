package enrol

import (
	"testing"
	"time"
)

// TestCertificateIsReplaced: a hub that runs for years never shows a certificate
// that has ended.
func TestCertificateIsReplaced(t *testing.T) {
	identity, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	m := &minter{identity: identity, hosts: []string{"localhost"}, now: func() time.Time { return now }}
	first, err := m.certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, step := range map[string]struct {
		later    time.Duration
		replaced bool
	}{
		"the next day":    {later: 24 * time.Hour},
		"after half":      {later: serverLife/2 + time.Hour, replaced: true},
		"after ten years": {later: 10 * serverLife, replaced: true},
	} {
		now = time.Now().Add(step.later)
		got, err := m.certificate(nil)
		if err != nil || (got != first) != step.replaced {
			t.Errorf("%s: replaced %v, %v", name, got != first, err)
		}
		m.minted, m.replace = first, time.Now().Add(serverLife/2)
	}
}
