package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/navarch/navarch/fleet"
)

type statusOptions struct {
	address, output string
	watch, exitCode bool
	clusters, apps  []string // none: all
}

func newStatus() *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use:     "status",
		GroupID: "hub",
		Short:   "Show what runs where",
		Long: `Show what runs where, as the hub knows it: each app on each cluster with its
health, the revision that it should run and the one that it runs.

  LAG     how long ago the change was announced that is not applied yet
  HEARD   how long ago the cluster's agent last said anything

A cluster that has been silent is NotHeard, whatever it said last: silence is
never health. Below the table stands what needs a person: a repository that
cannot be read, a commit with problems, a commit that is held.`,
		Example: `  # what runs where?
  navarch status

  # follow a push, at a hub elsewhere
  navarch status --watch --hub https://hub.example.com

  # in a script: is anything broken?
  navarch status --exit-code -o json | jq -r '.cells[] | select(.health == "Failed") | .cluster + "/" + .app'`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	flags := cmd.Flags()
	hubFlag(flags, &o.address)
	tokenFlag(flags)
	flags.StringVarP(&o.output, "output", "o", "table", "table, wide, json or yaml")
	flags.BoolVarP(&o.watch, "watch", "w", false, "follow live, until interrupted")
	flags.BoolVar(&o.exitCode, "exit-code", false, "exit with 1 if anything is Failed")
	flags.StringSliceVar(&o.clusters, "cluster", nil, "only this cluster; may be repeated")
	flags.StringSliceVar(&o.apps, "app", nil, "only this app; may be repeated")
	complete(cmd, "table", "wide", "json", "yaml")
	return cmd
}

func (o statusOptions) run(cmd *cobra.Command) error {
	if err := oneOf(cmd, o.output, "table", "wide", "json", "yaml"); err != nil {
		return err
	}
	if o.watch && o.exitCode {
		return usageError{cmd.CommandPath(), errors.New("--exit-code has no meaning with --watch: nothing is final yet")}
	}
	h, err := parseHub(cmd, o.address)
	if err != nil {
		return err
	}
	if o.watch {
		return o.follow(cmd.Context(), h, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	s, err := o.ask(cmd.Context(), h)
	if err != nil {
		return err
	}
	if err := o.print(cmd.OutOrStdout(), s, s.At); err != nil {
		return err
	}
	if o.exitCode && slices.ContainsFunc(s.Cells, func(c cell) bool { return c.Health == "Failed" }) {
		return errSaid
	}
	return nil
}

// status is what a hub knows, as far as it was asked for.
type status struct {
	At       time.Time      `json:"at"` // by the hub's clock
	Revision string         `json:"revision,omitempty"`
	Cells    []cell         `json:"cells"`
	Refused  string         `json:"refused,omitempty"`  // revision of the newest commit, where it changes nothing
	Rewound  string         `json:"rewound,omitempty"`  // revision of the newest commit, where a push was forced
	Problems fleet.Problems `json:"problems,omitempty"` // of the newest commit
	Hold     *hold          `json:"hold,omitempty"`
	Error    string         `json:"error,omitempty"` // why the repository cannot be read
}

// cell is one app on one cluster, or a cluster that runs none.
type cell struct {
	Cluster   fleet.ClusterName `json:"cluster"`
	Region    string            `json:"region,omitempty"`
	Agent     string            `json:"agent,omitempty"` // its version
	Heard     time.Time         `json:"heard,omitzero"`
	App       fleet.AppName     `json:"app,omitempty"` // empty: the cluster runs none
	Namespace string            `json:"namespace,omitempty"`
	Health    string            `json:"health"`
	Said      string            `json:"said,omitempty"` // with NotHeard: the health before the silence
	Desired   string            `json:"desired,omitempty"`
	Applied   string            `json:"applied,omitempty"`
	Behind    bool              `json:"behind"`
	Announced time.Time         `json:"announced,omitzero"`
	Message   string            `json:"message,omitempty"`
	Because   fleet.Because     `json:"because,omitzero"`
}

// hold is a commit that waits for a person.
type hold struct {
	Revision string       `json:"revision"`
	Deleted  int          `json:"deleted"` // objects
	Reasons  []fleet.Hold `json:"reasons"`
}

// ask asks the hub for everything that was asked for.
func (o statusOptions) ask(ctx context.Context, h hub) (status, error) {
	known, err := h.fleet(ctx)
	if err != nil {
		return status{}, err
	}
	clusters, err := h.clusters(ctx)
	if err != nil {
		return status{}, err
	}
	s := known.status()
	for _, cluster := range clusters {
		s.Cells = append(s.Cells, o.cells(cluster)...)
	}
	return s, nil
}

// status is what an answer says of the whole fleet.
func (f fleetAnswer) status() status {
	s := status{At: f.At, Cells: []cell{}, Error: f.Repository.Error}
	if f.Accepted != nil {
		s.Revision = f.Accepted.Revision
	}
	if f.Latest != nil {
		s.Problems = f.Latest.Problems
		if !f.Latest.Accepted {
			s.Refused = f.Latest.Revision
		}
		if f.Latest.Rewound {
			s.Rewound = f.Latest.Revision
		}
	}
	if f.Hold != nil {
		s.Hold = &hold{Revision: f.Hold.Revision, Deleted: f.Hold.Deleted, Reasons: f.Hold.Reasons}
	}
	return s
}

// cells are the rows of one cluster that were asked for.
func (o statusOptions) cells(cluster clusterAnswer) []cell {
	if len(o.clusters) > 0 && !slices.Contains(o.clusters, string(cluster.Name)) {
		return nil
	}
	of := cell{Cluster: cluster.Name, Region: cluster.Region, Heard: cluster.Heard}
	if cluster.Agent != nil {
		of.Agent = cluster.Agent.Version
	}
	if len(cluster.Apps) == 0 && len(o.apps) == 0 {
		of.Health, of.Message = cluster.Health, cluster.Message
		return []cell{of}
	}
	var cells []cell
	for _, app := range cluster.Apps {
		if len(o.apps) > 0 && !slices.Contains(o.apps, string(app.App)) {
			continue
		}
		c := of
		c.App, c.Namespace, c.Because = app.App, app.Namespace, app.Because
		c.Health, c.Said, c.Message = app.Health, app.Said, app.Message
		c.Desired, c.Applied = app.Desired.Revision, app.Applied.Revision
		c.Behind, c.Announced = app.Behind, app.Announced
		cells = append(cells, c)
	}
	return cells
}

// print prints s as of now in the form that was asked for.
func (o statusOptions) print(out io.Writer, s status, now time.Time) error {
	switch o.output {
	case "json":
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(s)
	case "yaml":
		content, err := yaml.Marshal(s)
		if err != nil {
			return fmt.Errorf("encode status: %w", err)
		}
		if o.watch {
			content = append([]byte("---\n"), content...)
		}
		_, err = out.Write(content)
		return err
	}
	_, err := io.WriteString(out, s.text(now, o.output == "wide"))
	return err
}
