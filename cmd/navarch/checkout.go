package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
)

// checkout is a fleet repository on disk after steps 2 to 5 of one git push, by
// the same functions as in the hub.
type checkout struct {
	def      fleet.Definition // empty when it does not load
	apps     []renderedApp    // by name; only those that render
	problems fleet.Problems
}

// renderedApp is an app in every variant that some cluster needs.
type renderedApp struct {
	fleet.App
	source   overlays.Source
	variants []renderedVariant
}

type renderedVariant struct {
	fleet.Variant
	overlay overlays.Overlay
	objects []fleet.ObjectID
}

// readCheckout reads, decides and renders the repository in dir. What is wrong with
// it is in the checkout's problems; the error is about dir itself.
func readCheckout(dir string) (checkout, error) {
	root, err := os.OpenRoot(dir) // symbolic links lead nowhere outside
	if err != nil {
		return checkout{}, fmt.Errorf("open the fleet repository: %w (name the folder of a checkout)", err)
	}
	defer root.Close()
	files := root.FS()
	var c checkout
	c.def, c.problems = fleet.Load(files)
	if c.problems.Err() == nil && len(c.def.Apps)+len(c.def.Clusters) == 0 {
		c.problems = append(c.problems, fleet.Problem{
			Message: "no app and no cluster is defined here",
			Hint:    "name the root of a fleet repository, or begin one with `navarch init`",
		})
	}
	outcomes := fleet.Decide(c.def)
	for i, app := range c.def.Apps {
		rendered := renderedApp{App: app}
		if rendered.source, err = overlays.Gather(files, app); err != nil {
			c.problems = append(c.problems, asProblems(err, app)...)
			continue
		}
		for _, variant := range fleet.Variants(app, c.def.Clusters, outcomes[i].Placed) {
			rules := make([]fleet.Override, len(variant.Rules))
			for i, rule := range variant.Rules {
				rules[i] = app.Overrides[rule]
			}
			overlay, objects, err := overlays.Render(files, app, rendered.source, overlays.Difference{Rules: rules})
			if err != nil {
				c.problems = append(c.problems, asProblems(err, app)...)
				continue
			}
			rendered.variants = append(rendered.variants, renderedVariant{variant, overlay, overlays.ObjectIDs(objects)})
		}
		c.apps = append(c.apps, rendered)
	}
	c.problems = append(c.problems, c.conflicts()...).Sorted()
	return c, nil
}

// conflicts finds objects that two apps want in the same cluster.
func (c checkout) conflicts() fleet.Problems {
	desired, contents := fleet.Published{}, fleet.Contents{}
	for _, app := range c.apps {
		for _, variant := range app.variants {
			placed := fleet.DesiredApp{Name: app.Name, Namespace: app.Namespace, Overlay: variant.overlay.Digest, Base: app.source.Digest}
			contents[placed.Content()] = variant.objects
			for _, name := range variant.Clusters {
				cluster := desired[name]
				cluster.Apps = append(cluster.Apps, placed)
				desired[name] = cluster
			}
		}
	}
	return fleet.Conflicts(desired, contents, c.def)
}

// overlays counts the distinct overlays.
func (c checkout) overlays() int {
	n := 0
	for _, app := range c.apps {
		n += len(app.variants)
	}
	return n
}

// asProblems gives err as problems that name at least the app's file.
func asProblems(err error, app fleet.App) fleet.Problems {
	var problems fleet.Problems
	if errors.As(err, &problems) {
		return problems
	}
	return fleet.Problems{{File: app.Position.File, Line: app.Position.Line, Message: err.Error()}}
}

// printProblems prints one problem a line, with the paths of the repository.
func printProblems(w io.Writer, problems fleet.Problems) error {
	for _, p := range problems {
		switch {
		case p.Warning && p.Field != "":
			p.Field = "warning: " + p.Field
		case p.Warning:
			p.Message = "warning: " + p.Message
		}
		if _, err := fmt.Fprintln(w, p.Error()); err != nil {
			return err
		}
	}
	return nil
}

// plural writes a count and its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
