package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
)

type renderOptions struct {
	out            string
	clusters, apps []string // none: all
	hub, observed  string
}

func newRender() *cobra.Command {
	var o renderOptions
	cmd := &cobra.Command{
		Use:     "render [DIR] -o OUT",
		GroupID: "repository",
		Short:   "Write what each cluster would get, as kustomize overlays",
		Long: `Write what each cluster would get, as kustomize overlays that the stock
kustomize builds:

  OUT/bases/APP/...                          what the app is made of
  OUT/clusters/CLUSTER/kustomization.yaml    everything that the cluster runs
  OUT/clusters/CLUSTER/APP/...               what differs in that cluster

It is what a hub would announce and an agent would build. OUT is made when it is
absent; in a former render, bases and clusters are replaced and everything else
is left alone. Any other folder that is not empty is refused. Nothing is written
when the repository has an error.`,
		Example: `  # everything
  navarch render -o rendered

  # what one cluster would get
  navarch render -o rendered --cluster eu-1 && kubectl kustomize rendered/clusters/eu-1

  # what differs from what the cluster has
  navarch render fleet -o rendered --cluster eu-1 --app shop && kubectl --context eu-1 diff -k rendered/clusters/eu-1`,
		Args: folderArg,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, folder(args)) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.out, "output", "o", "", "folder to write to (required)")
	flags.StringSliceVar(&o.clusters, "cluster", nil, "only this cluster; may be repeated")
	flags.StringSliceVar(&o.apps, "app", nil, "only this app; may be repeated")
	observedFlags(flags, &o.hub, &o.observed)
	_ = cmd.MarkFlagDirname("output") // it fails only for a flag that does not exist
	completeFrom(cmd, "cluster", clusterNames)
	completeFrom(cmd, "app", appNames)
	return cmd
}

func (o renderOptions) run(cmd *cobra.Command, dir string) error {
	if o.out == "" {
		return needFlag(cmd, "output", "rendered")
	}
	state, err := readState(cmd, o.hub, o.observed)
	if err != nil {
		return err
	}
	c, err := readCheckout(dir, state)
	if err != nil {
		return err
	}
	if err := printProblems(cmd.ErrOrStderr(), c.problems); err != nil {
		return err
	}
	if c.problems.Err() != nil {
		cmd.PrintErrln("nothing was written")
		return errSaid
	}
	if err := known("cluster", o.clusters, clusterNames(c.Definition)); err != nil {
		return err
	}
	if err := known("app", o.apps, appNames(c.Definition)); err != nil {
		return err
	}
	placed := c.placed(o)
	if len(placed) == 0 {
		return fmt.Errorf("nothing to render: no placement puts %s on %s", either(o.apps, "any app"), either(o.clusters, "any cluster"))
	}
	if err := writeRender(o.out, overlays.Tree(placed)); err != nil {
		return err
	}
	first := slices.Min(slices.Collect(maps.Keys(placed)))
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "rendered %s into %s\nTry: kubectl kustomize %s\n",
		plural(len(placed), "cluster"), o.out, filepath.Join(o.out, "clusters", string(first)))
	return err
}

// placed returns what the clusters that were asked for run of the apps that were
// asked for.
func (c checkout) placed(o renderOptions) map[fleet.ClusterName][]overlays.Placed {
	placed := map[fleet.ClusterName][]overlays.Placed{}
	for cluster, desired := range c.Desired {
		if len(o.clusters) > 0 && !slices.Contains(o.clusters, string(cluster)) {
			continue
		}
		for _, app := range desired.Apps {
			if len(o.apps) == 0 || slices.Contains(o.apps, string(app.Name)) {
				placed[cluster] = append(placed[cluster], overlays.Placed{App: app.Name, Base: c.Files[app.Base], Overlay: c.Files[app.Overlay]})
			}
		}
	}
	return placed
}

// either lists names for people.
func either(names []string, none string) string {
	if len(names) == 0 {
		return none
	}
	return strings.Join(names, " or ")
}

// known checks names that a person typed.
func known(noun string, typed, names []string) error {
	for _, name := range typed {
		if !slices.Contains(names, name) {
			return fmt.Errorf("the repository has no %s %q (it has %s)", noun, name, strings.Join(names, ", "))
		}
	}
	return nil
}

func clusterNames(def fleet.Definition) []string {
	names := make([]string, len(def.Clusters))
	for i, cluster := range def.Clusters {
		names[i] = string(cluster.Name)
	}
	return names
}

func appNames(def fleet.Definition) []string {
	names := make([]string, len(def.Apps))
	for i, app := range def.Apps {
		names[i] = string(app.Name)
	}
	return names
}

// completeFrom makes the shell complete a flag with names from the repository.
func completeFrom(cmd *cobra.Command, flag string, names func(fleet.Definition) []string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		root, err := os.OpenRoot(folder(args))
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		defer root.Close()
		def, _ := fleet.Load(root.FS())
		return names(def), cobra.ShellCompDirectiveNoFileComp
	})
}
