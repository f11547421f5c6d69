package access

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"
)

func scope(t *testing.T, apps, clusters string) Scope {
	t.Helper()
	s, err := ParseScope(apps, clusters)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestDecide: what a person may do to an app on a cluster, by grants.
func TestDecide(t *testing.T) {
	grants := []Grant{
		{Group: "platform", Role: Admin},
		{Group: "shop", Role: Operator, Scope: scope(t, "team=shop", "env=prod")},
		{Group: "shop", Role: Viewer, Scope: scope(t, "", "env!=lab")},
		{User: "ada", Role: Viewer},
	}
	shop, other := map[string]string{"team": "shop"}, map[string]string{"team": "other"}
	prod, edge, lab := map[string]string{"env": "prod"}, map[string]string{"env": "edge"}, map[string]string{"env": "lab"}
	for name, test := range map[string]struct {
		person       Person
		role         Role
		app, cluster map[string]string
		want         bool
	}{
		"nobody":                            {Person{}, Viewer, shop, prod, false},
		"a member of no group":              {Person{Name: "eve", By: ByOIDC}, Viewer, shop, prod, false},
		"by name":                           {Person{Name: "ada", By: ByOIDC}, Viewer, other, lab, true},
		"by name, more than granted":        {Person{Name: "ada", By: ByOIDC}, Operator, other, lab, false},
		"by group":                          {Person{Name: "eve", Groups: []string{"platform"}, By: ByOIDC}, Admin, other, lab, true},
		"in scope":                          {Person{Groups: []string{"shop"}, By: ByOIDC}, Operator, shop, prod, true},
		"another app":                       {Person{Groups: []string{"shop"}, By: ByOIDC}, Operator, other, prod, false},
		"another cluster":                   {Person{Groups: []string{"shop"}, By: ByOIDC}, Operator, shop, edge, false},
		"another grant sees it":             {Person{Groups: []string{"shop"}, By: ByOIDC}, Viewer, other, edge, true},
		"no grant sees it":                  {Person{Groups: []string{"shop"}, By: ByOIDC}, Viewer, shop, lab, false},
		"a group of that name":              {Person{Name: "x", Groups: []string{"ada"}, By: ByOIDC}, Viewer, shop, prod, false},
		"a user named as a group":           {Person{Name: "platform", By: ByOIDC}, Viewer, shop, prod, false},
		"a user who writes a prefix":        {Person{Name: "group:platform", By: ByOIDC}, Viewer, shop, prod, false},
		"a token that names itself as user": {Person{Name: "ada", By: ByToken}, Viewer, shop, prod, false},
		"loopback with a group":             {Person{Name: "ada", Groups: []string{"platform"}, By: ByLoopback}, Viewer, shop, prod, false},
		"an empty name and group":           {Person{Groups: []string{""}, By: ByOIDC}, Viewer, shop, prod, false},
	} {
		if got := Decide(test.person, grants).Cell(test.role, test.app, test.cluster); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// TestScopes: two grants of parts are not a grant of the whole, and a role in one
// place is none in another.
func TestScopes(t *testing.T) {
	person := Person{Name: "ada", By: ByOIDC}
	r := Decide(person, []Grant{
		{User: "ada", Role: Admin, Scope: scope(t, "", "env=prod")},
		{User: "ada", Role: Operator, Scope: scope(t, "team=shop", "")},
	})
	prod, edge := map[string]string{"env": "prod"}, map[string]string{"env": "edge"}
	for name, test := range map[string]struct{ got, want bool }{
		"whole fleet":              {r.Whole(Viewer), false},
		"whole cluster":            {r.WholeCluster(Admin, prod), true},
		"another whole cluster":    {r.WholeCluster(Viewer, edge), false},
		"part of another cluster":  {r.Cluster(Operator, edge), true},
		"not as admin":             {r.Cluster(Admin, edge), false},
		"an app anywhere":          {r.App(Operator, map[string]string{"team": "shop"}), true},
		"any app in some clusters": {r.App(Viewer, nil), true},
		"nobody has nothing":       {Rights{}.Cell(None, nil, nil), false},
	} {
		if test.got != test.want {
			t.Errorf("%s: %v", name, test.got)
		}
	}
	if got, want := r.String(), "admin of clusters env=prod; operator of apps team=shop"; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
	if r.Role() != Admin || (Rights{}).Role() != None || (Rights{}).String() != "none" {
		t.Error("roles differ")
	}
}

func TestToken(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, foreign, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	good := Token{ID: "1", Name: "grace", Role: "operator", Apps: "team=shop", Clusters: "env in (prod,edge)", Expires: now.Add(time.Hour)}
	text, err := good.Seal(private)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := OpenToken(text, public, now)
	if err != nil || opened != good {
		t.Fatalf("%+v %v", opened, err)
	}
	person, rights, err := opened.Caller()
	if err != nil || person.Name != "grace" || rights.String() != "operator of apps team=shop of clusters env in (edge,prod)" {
		t.Errorf("%+v has %s: %v", person, rights, err)
	}
	forged, err := good.Seal(foreign)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(text, ".")
	for name, text := range map[string]string{
		"another key": forged, "cut off": text[:len(text)-4], "no signature": parts[0] + "." + parts[1] + ".", "empty": "",
		"other words": parts[0] + "." + strings.Split(forged, ".")[1][1:] + "." + parts[2], "long": text + strings.Repeat("A", maxToken),
	} {
		if _, err := OpenToken(text, public, now); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	if _, err := OpenToken(text, public, now.Add(time.Hour)); err == nil {
		t.Error("opened after it expired")
	}
	if _, err := OpenToken(text, nil, now); err == nil {
		t.Error("opened without a key")
	}
	for name, bad := range map[string]Token{
		"no name": {Role: "admin"}, "no role": {Name: "ada"}, "another role": {Name: "ada", Role: "root"},
		"selector": {Name: "ada", Role: "admin", Apps: "a in b"}, "long": {Name: strings.Repeat("a", maxName+1), Role: "admin"},
	} {
		if _, err := bad.Seal(private); err == nil {
			t.Errorf("%s: sealed", name)
		}
	}
}

func FuzzOpenToken(f *testing.F) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	now := time.Now()
	text, err := Token{ID: "1", Name: "ada", Role: "viewer", Expires: now.Add(time.Hour)}.Seal(private)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add("nva1..")
	f.Fuzz(func(t *testing.T, other string) {
		token, err := OpenToken(other, public, now)
		if err == nil && (token.Name != "ada" || token.Role != "viewer") {
			t.Errorf("%q opens as %+v", other, token)
		}
	})
}
