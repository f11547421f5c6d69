package fleet

import (
	"strings"
	"testing"
)

func TestParseNames(t *testing.T) {
	for name, legal := range map[string]bool{
		"a":                     true,
		"eu-1":                  true,
		"0":                     true,
		strings.Repeat("a", 63): true,
		strings.Repeat("a", 64): false,
		"":                      false,
		"-a":                    false,
		"a-":                    false,
		"A":                     false,
		"a.b":                   false,
		"a/b":                   false,
		"a b":                   false,
		"ä":                     false,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseClusterName(name); (err == nil) != legal {
				t.Errorf("cluster: %v, want legal: %v", err, legal)
			}
			if _, err := ParseAppName(name); (err == nil) != legal {
				t.Errorf("app: %v, want legal: %v", err, legal)
			}
		})
	}
}

func TestDigest(t *testing.T) {
	const hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	d := DigestOf([]byte("abc"))
	if d != "sha256:"+hex || d.Hex() != hex || d.Short() != "ba7816bf8f01" || Digest("").Short() != "" {
		t.Errorf("digest of abc: %s, %s, %s", d, d.Hex(), d.Short())
	}
	for text, legal := range map[string]bool{
		string(d):                         true,
		hex:                               false,
		"sha256:" + hex[1:]:               false,
		"sha256:" + strings.ToUpper(hex):  false,
		"sha512:" + hex:                   false,
		"sha256:" + hex[1:] + "g":         false,
		"":                                false,
		"sha256:" + hex[:32] + "\n" + hex: false,
	} {
		if _, err := ParseDigest(text); (err == nil) != legal {
			t.Errorf("%q: %v, want legal: %v", text, err, legal)
		}
	}
}
