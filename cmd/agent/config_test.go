package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/navarch/navarch/agent"
	"github.com/navarch/navarch/fleet"
)

var hubKey = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, ed25519.PublicKeySize))

func TestDecodeConfig(t *testing.T) {
	good := "cluster: eu-1\nhub: [tls://hub.example.com:4222]\nhubKey: " + hubKey + "\n"
	for name, test := range map[string]struct{ content, want string }{
		"good":              {good, ""},
		"namespaces":        {good + "namespaces: [shop, blog]\n", ""},
		"every namespace":   {good + "namespaces: [shop, '']\n", `namespaces[1]: "" is no name`},
		"wrong namespace":   {good + "namespaces: [Shop]\n", `namespaces[0]: "Shop" is no name`},
		"another field":     {good + "proxy: x\n", "unknown field"},
		"twice":             {good + good, "already set"},
		"no cluster":        {strings.Replace(good, "eu-1", "''", 1), "cluster: "},
		"cluster of a path": {strings.Replace(good, "eu-1", "../us-1", 1), "cluster: "},
		"no hub":            {strings.Replace(good, "tls://hub.example.com:4222", "", 1), "hub: no URL given"},
		"short key":         {strings.Replace(good, hubKey, hubKey[:8], 1), "hubKey: want 32 bytes"},
		"nothing":           {"", "cluster: "},
	} {
		t.Run(name, func(t *testing.T) {
			var c agent.Config
			err := decodeConfig(&c, []byte(test.content))
			switch {
			case test.want == "" && (err != nil || c.Cluster != "eu-1" || len(c.Hub) != 1 || len(c.HubKey) != ed25519.PublicKeySize):
				t.Errorf("%+v, %v", c, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want %q", err, test.want)
			case test.want != "" && (c.Cluster != "" || c.Hub != nil || c.HubKey != nil || c.Namespaces != nil):
				t.Errorf("refused and yet %+v", c)
			}
		})
	}
}

// FuzzConfig reads agent.yaml of any content. What is read names one cluster, a key and
// only namespaces that exist, and is the same after it was written again; what is refused
// changes nothing.
func FuzzConfig(f *testing.F) {
	f.Add([]byte("cluster: eu-1\nhub: [tls://hub.example.com:4222, wss://hub.example.com]\nhubKey: " + hubKey + "\nnamespaces: [shop]\n"))
	f.Add([]byte("cluster: eu-1\nhub:\n- x\nhubKey: |\n  " + hubKey + "\n"))
	f.Add([]byte(`{"cluster":"eu-1","hub":["x"],"hubKey":"` + hubKey + `","namespaces":null}`))
	f.Add([]byte("cluster: &a eu-1\nhub: [*a]\nhubKey: *a\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		before := agent.Config{Cluster: "was", Hub: []string{"was"}, Namespaces: []string{"was"}}
		c := before
		if err := decodeConfig(&c, content); err != nil {
			if c.Cluster != before.Cluster || cmp.Diff(c.Hub, before.Hub)+cmp.Diff(c.Namespaces, before.Namespaces) != "" || c.HubKey != nil {
				t.Errorf("refused and yet %+v", c)
			}
			return
		}
		if _, err := fleet.ParseClusterName(string(c.Cluster)); err != nil || len(c.HubKey) != ed25519.PublicKeySize || len(c.Hub) == 0 {
			t.Errorf("%+v, %v", c, err)
		}
		written, err := yaml.Marshal(said{Cluster: string(c.Cluster), Hub: c.Hub, HubKey: base64.StdEncoding.EncodeToString(c.HubKey), Namespaces: c.Namespaces})
		if err != nil {
			t.Fatal(err)
		}
		var again agent.Config
		if err := decodeConfig(&again, written); err != nil || again.Cluster != c.Cluster || !again.HubKey.Equal(c.HubKey) ||
			strings.Join(again.Hub, "\n") != strings.Join(c.Hub, "\n") || strings.Join(again.Namespaces, "\n") != strings.Join(c.Namespaces, "\n") {
			t.Errorf("written and read again: %+v, %v, want %+v", again, err, c)
		}
	})
}
