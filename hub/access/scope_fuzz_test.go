package access

import (
	"testing"
)

// FuzzScope reads scopes. One that is read is the same when its own words are read, and no
// person of a scope is a person of the whole fleet unless it selects everything.
func FuzzScope(f *testing.F) {
	f.Add("team=shop,env!=prod", "env in (prod, dev)", "team", "shop")
	f.Add("!team", "", "env", "prod")
	f.Add("", "a>1,b<2", "a", "2")
	f.Add(",", "a in ()", "", "")
	f.Fuzz(func(t *testing.T, apps, clusters, key, value string) {
		scope, err := ParseScope(apps, clusters)
		if err != nil {
			if scope.Apps != nil || scope.Clusters != nil {
				t.Errorf("refused and yet %+v", scope)
			}
			return
		}
		words := [2]string{}
		if scope.Apps != nil {
			words[0] = scope.Apps.String()
		}
		if scope.Clusters != nil {
			words[1] = scope.Clusters.String()
		}
		again, err := ParseScope(words[0], words[1])
		if err != nil {
			t.Fatalf("%q is read as %q, which is refused: %v", []string{apps, clusters}, words, err)
		}
		set := map[string]string{key: value}
		one, other := Grants(Operator, scope), Grants(Operator, again)
		for name, same := range map[string]bool{
			"cell": one.Cell(Operator, set, set) == other.Cell(Operator, set, set), "app": one.App(Operator, set) == other.App(Operator, set),
			"cluster": one.Cluster(Operator, set) == other.Cluster(Operator, set), "whole": one.Whole(Operator) == other.Whole(Operator),
		} {
			if !same {
				t.Errorf("%q and %q say something else of the %s %v", []string{apps, clusters}, words, name, set)
			}
		}
		if one.Whole(Operator) && (!one.Cell(Operator, nil, nil) || !one.Cell(Operator, set, set)) {
			t.Errorf("%q is the whole fleet and leaves %v out", []string{apps, clusters}, set)
		}
		if one.Cell(Admin, set, set) {
			t.Error("an operator is an admin")
		}
	})
}
