package apply

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/navarch/navarch/fleet"
)

func TestVeil(t *testing.T) {
	const long = "correct-horse-battery-staple"
	cases := map[string]struct {
		secrets       []string
		message, want string
	}{
		"as it is":             {[]string{long}, `Invalid value: "` + long + `": too long`, `Invalid value: "(hidden)": too long`},
		"in base64":            {[]string{long}, "got " + base64.StdEncoding.EncodeToString([]byte(long)), "got (hidden)"},
		"quoted":               {[]string{"two\nlines"}, `got "two\nlines" here`, `got "(hidden)" here`},
		"a part of it":         {[]string{long}, "got correct-horse-ba… (cut)", "got (hidden)… (cut)"},
		"one line of it":       {[]string{"first line\n" + long + "\nlast"}, "line 2: " + long, "line 2: (hidden)"},
		"short":                {[]string{"tiger"}, "tigers and tiger", "(hidden)s and (hidden)"},
		"very short":           {[]string{"5", "a"}, "got 5, 15 and a thing at data.a", "got (hidden), 15 and (hidden) thing at data.(hidden)"},
		"nothing":              {[]string{"", " "}, "all of it stays", "all of it stays"},
		"none of it":           {[]string{long}, "namespaces \"shop\" not found", "namespaces \"shop\" not found"},
		"letters of two bytes": {[]string{"größe-des-passworts"}, "got größe-des-passworts", "got (hidden)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := newVeil(c.secrets).over(c.message); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestVeiledErrors: an error says what it said, to people and to the agent, but for values.
func TestVeiledErrors(t *testing.T) {
	const canary = "canary-of-the-mine"
	invalid := apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "db", field.ErrorList{field.Invalid(field.NewPath("data"), canary, "is immutable")})
	of := Object{ID: fleet.ObjectID{Kind: "Secret", Name: "db"}, Body: []byte(`{"kind":"Secret","data":{"password":"` + base64.StdEncoding.EncodeToString([]byte(canary)) + `"}}`)}
	err := of.veil(invalid)
	if !immutable(err) || !Permanent(err) || strings.Contains(err.Error(), canary) || !strings.Contains(err.Error(), `data: Invalid value: "(hidden)": is immutable`) {
		t.Errorf("got %v", err)
	}
	var status *apierrors.StatusError
	if !errors.As(err, &status) || strings.Contains(status.Status().Details.Causes[0].Message, canary) {
		t.Errorf("its causes show the value: %+v", status)
	}
	if !strings.Contains(invalid.Error(), canary) {
		t.Error("the error itself was written to")
	}
	if err := of.veil(errors.New("decode " + canary)); err.Error() != "decode (hidden)" {
		t.Errorf("got %v", err)
	}
	opened := Object{
		ID: fleet.ObjectID{Group: "example.com", Kind: "Database", Name: "db"}, sealed: []byte(`{"spec":{"port":5432,"password":"ENC[x]","users":[{"name":"shop","pin":"ENC[y]"}]}}`),
		Body: []byte(`{"spec":{"port":5432,"password":"` + canary + `","users":[{"name":"shop","pin":4711}]}}`),
	}
	if err := opened.veil(errors.New("port 5432 of shop, " + canary + ", 4711")); err.Error() != "port 5432 of shop, (hidden), (hidden)" {
		t.Errorf("got %v", err)
	}
	plain := Object{ID: fleet.ObjectID{Kind: "ConfigMap", Name: "db"}, Body: of.Body}
	if err := plain.veil(invalid); !errors.Is(err, invalid) {
		t.Errorf("got %v", err)
	}
}

func FuzzVeil(f *testing.F) {
	f.Add("correct-horse-battery-staple", "got correct-horse-ba")
	f.Add("5", "15 5")
	f.Fuzz(func(t *testing.T, secret, message string) {
		got := newVeil([]string{secret}).over(message + secret)
		if len(secret) >= word && strings.Contains(strings.ReplaceAll(got, hiddenValue, ""), secret) && !strings.Contains(hiddenValue, secret) {
			t.Errorf("%q shows %q", got, secret)
		}
	})
}
