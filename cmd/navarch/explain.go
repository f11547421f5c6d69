package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/compile"
)

type explainOptions struct {
	dir, hub, observed, output string
}

func newExplain() *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:     "explain APP [CLUSTER]",
		GroupID: "repository",
		Short:   "Say why an app is on each cluster, or is not",
		Long: `Say for every cluster why an app is there or is not: the rule that decided, the
room that was seen, and the arithmetic of its replicas.

With --hub the hub answers, about the commit that it accepted last and what it
observes. With --dir the answer is about a checkout, with what is observed from
the file given with --observed, if any.`,
		Example: `  # why shop is where it is now
  navarch explain shop --hub https://hub.example.com

  # and why it is not on one cluster
  navarch explain shop edge-1

  # what a checkout would decide, with what a hub observed before
  curl -s -H "Authorization: Bearer $NAVARCH_TOKEN" https://hub.example.com/api/v1/observed > observed.json
  navarch explain shop --dir . --observed observed.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usageError{cmd.CommandPath(), fmt.Errorf("want an app and perhaps a cluster, got %d arguments", len(args))}
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              o.run,
	}
	flags := cmd.Flags()
	hubFlag(flags, &o.hub)
	tokenFlag(flags)
	flags.StringVar(&o.dir, "dir", "", "checkout of the fleet repository to ask in place of a hub")
	flags.StringVar(&o.observed, "observed", "", "with --dir: file with what a hub observed, as it answers at /api/v1/observed")
	flags.StringVarP(&o.output, "output", "o", "text", "text or json")
	_ = cmd.MarkFlagDirname("dir") // it fails only for a flag that does not exist
	complete(cmd, "text", "json")
	return cmd
}

func (o *explainOptions) run(cmd *cobra.Command, args []string) error {
	if err := oneOf(cmd, o.output, "text", "json"); err != nil {
		return err
	}
	cluster := ""
	if len(args) == 2 {
		cluster = args[1]
	}
	explained, err := o.ask(cmd, fleet.AppName(args[0]), fleet.ClusterName(cluster))
	if err != nil {
		return err
	}
	if o.output == "json" {
		encoder := json.NewEncoder(cmd.OutOrStdout())
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(explained)
	}
	return printExplanation(cmd.OutOrStdout(), explained)
}

func (o *explainOptions) ask(cmd *cobra.Command, app fleet.AppName, cluster fleet.ClusterName) (fleet.Explanation, error) {
	if o.dir != "" {
		return o.read(cmd, app, cluster)
	}
	h, err := parseHub(cmd, o.hub)
	if err != nil {
		return fleet.Explanation{}, err
	}
	path := "/api/v1/explain/" + url.PathEscape(string(app))
	if cluster != "" {
		path += "?cluster=" + url.QueryEscape(string(cluster))
	}
	var explained fleet.Explanation
	err = h.call(cmd.Context(), "GET", path, nil, &explained)
	return explained, err
}

// read explains a checkout.
func (o *explainOptions) read(cmd *cobra.Command, app fleet.AppName, cluster fleet.ClusterName) (fleet.Explanation, error) {
	state, err := readState(cmd, "", o.observed)
	if err != nil {
		return fleet.Explanation{}, err
	}
	files, done, err := openCheckout(o.dir)
	if err != nil {
		return fleet.Explanation{}, err
	}
	defer done()
	reading, problems := new(compile.Compiler).Read(files)
	if problems.Err() != nil {
		if err := printProblems(cmd.ErrOrStderr(), problems); err != nil {
			return fleet.Explanation{}, err
		}
		return fleet.Explanation{}, errSaid
	}
	explained, err := reading.Explain(app, state)
	if err != nil {
		return explained, fmt.Errorf("%w (it has %s)", err, strings.Join(appNames(reading.Definition), ", "))
	}
	if cluster == "" {
		return explained, nil
	}
	for _, v := range explained.Verdicts {
		if v.Cluster == cluster {
			explained.Verdicts = []fleet.Verdict{v}
			return explained, nil
		}
	}
	return explained, fmt.Errorf("the checkout has no cluster %q (it has %s)", cluster, strings.Join(clusterNames(reading.Definition), ", "))
}

// printExplanation writes an explanation for people.
func printExplanation(w io.Writer, e fleet.Explanation) error {
	var head strings.Builder
	if e.Affinity != "" {
		fmt.Fprintf(&head, "affinity group: %s\n", e.Affinity)
	}
	if e.Problem != "" {
		fmt.Fprintf(&head, "problem: %s\n", e.Problem)
	}
	if _, err := io.WriteString(w, head.String()); err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range e.Verdicts {
		word := "out"
		switch {
		case v.Placed:
			word = "in"
		case v.Kept:
			word = "kept"
		}
		why := v.Because.Rule
		if v.Because.Detail != "" {
			why += ": " + v.Because.Detail
		}
		var more []string
		if v.Score != 0 {
			more = append(more, fmt.Sprintf("score %d", v.Score))
		}
		if v.Room != nil {
			more = append(more, fmt.Sprintf("room for %d more", *v.Room))
		}
		for _, s := range v.Shares {
			more = append(more, fmt.Sprintf("%s: %s", s.Workload, s))
		}
		if _, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", v.Cluster, word, why, strings.Join(more, "; ")); err != nil {
			return err
		}
	}
	return table.Flush()
}
