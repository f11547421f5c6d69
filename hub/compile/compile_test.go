package compile

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
)

func TestWithDependencies(t *testing.T) {
	app := func(name fleet.AppName, on ...fleet.AppName) fleet.DesiredApp {
		return fleet.DesiredApp{Name: name, DependsOn: on}
	}
	for name, test := range map[string]struct{ in, want []fleet.DesiredApp }{
		"none":              {nil, nil},
		"all are here":      {[]fleet.DesiredApp{app("a"), app("b", "a")}, []fleet.DesiredApp{app("a"), app("b", "a")}},
		"one is elsewhere":  {[]fleet.DesiredApp{app("a"), app("b", "a", "x")}, []fleet.DesiredApp{app("a"), app("b", "a")}},
		"all are elsewhere": {[]fleet.DesiredApp{app("b", "x", "y")}, []fleet.DesiredApp{app("b")}},
	} {
		shared := fmt.Sprint(test.in)
		dependencies := make([][]fleet.AppName, len(test.in))
		for i, app := range test.in {
			dependencies[i] = app.DependsOn
		}
		got := withDependencies(fleet.Desired{Apps: append([]fleet.DesiredApp(nil), test.in...)})
		if diff := cmp.Diff(test.want, got.Apps); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if fmt.Sprint(test.in) != shared {
			t.Errorf("%s: the definition was changed", name)
		}
	}
}

func TestAsProblems(t *testing.T) {
	app := fleet.App{Name: "shop", Position: fleet.Position{File: "shop/app.yaml", Line: 3}}
	one := fleet.Problem{File: "x.yaml", Line: 7, Message: "is wrong"}
	const hint = "run `navarch check` in a checkout to see the same"
	for name, test := range map[string]struct {
		err  error
		want fleet.Problems
	}{
		"a problem":            {one, fleet.Problems{one}},
		"problems":             {fleet.Problems{one, one}, fleet.Problems{one, one}},
		"a problem in a frame": {fmt.Errorf("render: %w", one), fleet.Problems{{File: "shop/app.yaml", Line: 3, Message: "render: " + one.Error(), Hint: hint}}},
		"any error":            {errors.New("no space left\n"), fleet.Problems{{File: "shop/app.yaml", Line: 3, Message: "no space left", Hint: hint}}},
	} {
		if diff := cmp.Diff(test.want, asProblems(test.err, app)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
