package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/navarch/navarch/fleet"
)

func newCheck() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "check [DIR]",
		GroupID: "repository",
		Short:   "Find every mistake in a fleet repository",
		Long: `Find every mistake in a checkout of a fleet repository, before it is pushed.

It loads the repository, decides which cluster runs what, builds every app in
every form that some cluster needs and looks for objects that two apps want in
the same cluster: all that a hub does before it announces anything. It needs
neither a hub nor a network. All problems are printed at once, one a line:

  file:line: field: message (hint)

with the file's path in the repository. The exit code is 1 when there is an
error. Warnings do not fail.`,
		Example: `  # the repository here
  navarch check

  # a checkout elsewhere, in CI, for a program to read
  navarch check fleet -o json

  # before every push
  echo 'navarch check' > .git/hooks/pre-push && chmod +x .git/hooks/pre-push`,
		Args: folderArg,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf(cmd, output, "text", "json"); err != nil {
				return err
			}
			return check(cmd.OutOrStdout(), folder(args), output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	complete(cmd, "text", "json")
	return cmd
}

// finding is what check says, for programs.
type finding struct {
	Apps     int            `json:"apps"`
	Clusters int            `json:"clusters"`
	Overlays int            `json:"overlays"` // distinct ones
	Errors   int            `json:"errors"`
	Warnings int            `json:"warnings"`
	Problems fleet.Problems `json:"problems"`
}

func check(out io.Writer, dir, output string) error {
	c, err := readCheckout(dir, fleet.State{Now: time.Now()})
	if err != nil {
		return err
	}
	found := finding{
		Apps: len(c.Definition.Apps), Clusters: len(c.Definition.Clusters), Overlays: c.Overlays,
		Problems: append(fleet.Problems{}, c.problems...),
	}
	for _, p := range c.problems {
		if p.Warning {
			found.Warnings++
			continue
		}
		found.Errors++
	}
	if output == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(found)
	} else if err = printProblems(out, c.problems); err == nil {
		_, err = fmt.Fprintln(out, found.summary())
	}
	if err != nil {
		return err
	}
	if found.Errors > 0 {
		return errSaid
	}
	return nil
}

// summary says in one line how it is.
func (f finding) summary() string {
	counts := []string{}
	if f.Errors > 0 {
		counts = append(counts, plural(f.Errors, "error"))
	}
	if f.Warnings > 0 {
		counts = append(counts, plural(f.Warnings, "warning"))
	}
	said := strings.Join(counts, ", ")
	if f.Errors > 0 {
		return said + ": with this commit a hub changes nothing anywhere"
	}
	if said == "" {
		said = "no problems"
	}
	return fmt.Sprintf("%s, %s, %s: %s", plural(f.Apps, "app"), plural(f.Clusters, "cluster"), plural(f.Overlays, "overlay"), said)
}
