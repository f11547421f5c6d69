package main

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/compile"
)

// checkout is a fleet repository on disk after steps 2 to 5 of one git push, by
// the same code as in the hub.
type checkout struct {
	*compile.Result
	problems fleet.Problems
}

// readCheckout reads, decides and renders the repository in dir. What is wrong with
// it is in the checkout's problems; the error is about dir itself.
func readCheckout(dir string, state fleet.State) (checkout, error) {
	files, done, err := openCheckout(dir)
	if err != nil {
		return checkout{}, err
	}
	defer done()
	result, problems := compileFiles(files, state)
	def := result.Definition
	if problems.Err() == nil && len(def.Apps)+len(def.Clusters) == 0 {
		problems = append(problems, fleet.Problem{
			Message: "no app and no cluster is defined here",
			Hint:    "name the root of a fleet repository, or begin one with `navarch init`",
		})
	}
	return checkout{result, problems}, nil
}

// openCheckout opens the files of a checkout. Symbolic links lead nowhere outside.
func openCheckout(dir string) (files fs.FS, done func(), err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("open the fleet repository: %w (name the folder of a checkout)", err)
	}
	return root.FS(), func() { _ = root.Close() }, nil // it was only read
}

// compileFiles compiles files once.
func compileFiles(files fs.FS, state fleet.State) (*compile.Result, fleet.Problems) {
	return new(compile.Compiler).Compile(files, state)
}

// after returns the state in which what a result decides runs: what a change comes
// upon.
func after(state fleet.State, r *compile.Result) fleet.State {
	state.Previous = r.Next()
	return state
}

// observedFlags adds the flags that say what is observed.
func observedFlags(flags *pflag.FlagSet, hub, file *string) {
	flags.StringVar(hub, "hub", os.Getenv("NAVARCH_HUB"), "address of the hub whose observations decide; also NAVARCH_HUB")
	tokenFlag(flags)
	flags.StringVar(file, "observed", "", "file with what a hub observed, as it answers at /api/v1/observed")
}

// readState returns what is observed: by a hub, in a file, or nothing.
func readState(cmd *cobra.Command, address, file string) (fleet.State, error) {
	var state fleet.State
	switch {
	case file != "":
		content, err := os.ReadFile(file)
		if err != nil {
			return state, fmt.Errorf("--observed: %w", err)
		}
		if err := json.Unmarshal(content, &state); err != nil {
			return state, fmt.Errorf("--observed %s: %w (want what a hub answers at /api/v1/observed)", file, err)
		}
	case address != "":
		h, err := parseHub(cmd, address)
		if err != nil {
			return state, err
		}
		if err := h.call(cmd.Context(), "GET", "/api/v1/observed", nil, &state); err != nil {
			return state, err
		}
	}
	if state.Now.IsZero() {
		state.Now = time.Now()
	}
	return state, nil
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
