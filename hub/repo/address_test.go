package repo

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseAddress(t *testing.T) {
	cases := map[string]address{
		"https://git.example/team/fleet.git":       {shown: "https://git.example/team/fleet.git", host: "git.example", path: "/team/fleet.git"},
		"http://ada:a%20b@git.example:81/x":        {shown: "http://git.example:81/x", host: "git.example:81", path: "/x", username: "ada", password: "a b"},
		"ssh://git.example/team/fleet.git":         {shown: "ssh://git.example/team/fleet.git", overSSH: true, user: "git", host: "git.example:22", path: "/team/fleet.git"},
		"ssh://ada@git.example:2222/team%20a/x":    {shown: "ssh://ada@git.example:2222/team%20a/x", overSSH: true, user: "ada", host: "git.example:2222", path: "/team a/x"},
		"ssh://ada@[2001:db8::1]:2222/x":           {shown: "ssh://ada@[2001:db8::1]:2222/x", overSSH: true, user: "ada", host: "[2001:db8::1]:2222", path: "/x"},
		"ssh://git.example/~ada/x":                 {shown: "ssh://git.example/~ada/x", overSSH: true, user: "git", host: "git.example:22", path: "~ada/x"},
		"git@git.example:team/fleet.git":           {shown: "git@git.example:team/fleet.git", overSSH: true, user: "git", host: "git.example:22", path: "team/fleet.git"},
		"git.example:/srv/fleet.git":               {shown: "git.example:/srv/fleet.git", overSSH: true, user: "git", host: "git.example:22", path: "/srv/fleet.git"},
		"ada@[2001:db8::1]:fleet":                  {shown: "ada@[2001:db8::1]:fleet", overSSH: true, user: "ada", host: "[2001:db8::1]:22", path: "fleet"},
		"org-1@git.example:team/with:colon@at.git": {shown: "org-1@git.example:team/with:colon@at.git", overSSH: true, user: "org-1", host: "git.example:22", path: "team/with:colon@at.git"},
	}
	for text, want := range cases {
		got, err := parseAddress(text)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(address{})); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", text, err, diff)
		}
	}
}

func TestQuoteWord(t *testing.T) {
	for text, want := range map[string]string{
		"":          "''",
		"team/x":    "'team/x'",
		"it's":      `'it'\''s'`,
		"a!b":       `'a'\!'b'`,
		"'!'":       `''\'''\!''\'''`,
		"$(x) `y`;": "'$(x) `y`;'",
		`a\b`:       `'a\b'`,
	} {
		if got := quoteWord(text); got != want {
			t.Errorf("%s is quoted as %s, want %s", text, got, want)
		}
	}
}

// FuzzAddress reads any URL: what comes out can be shown and connected to.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"https://ada:sesame@git.example/x", "ssh://ada@git.example:22/x", "git@git.example:x", "[::1]:x", "ssh://git.example/~x", "-x:y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseAddress(text)
		if err != nil {
			return
		}
		if a.overSSH && (a.user == "" || a.path == "" || a.path[0] == '-' || a.host == "" || a.host[0] == '-') {
			t.Errorf("%q is %+v", text, a)
		}
		again, err := parseAddress(a.shown)
		if err != nil || again.username != "" || again.password != "" || again.path != a.path || again.host != a.host {
			t.Errorf("%q is shown as %q, which is %+v, %v", text, a.shown, again, err)
		}
	})
}
