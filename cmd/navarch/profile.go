package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/navarch/navarch/fleet"
)

// The profiles of an agent: what it may do in its cluster.
const (
	profileClusterAdmin = "cluster-admin"
	profileNamespaces   = "namespaces"
)

// rights are the flags that say what an agent may do in its cluster.
type rights struct {
	profile    string
	namespaces []string
}

func (r *rights) flags(flags *pflag.FlagSet) {
	flags.StringVar(&r.profile, "profile", profileClusterAdmin, "what the agent may do in its cluster: cluster-admin, or namespaces for those of --namespaces only")
	flags.StringSliceVar(&r.namespaces, "namespaces", nil, "namespaces of the cluster that the agent is let into, as in shop,blog; they must be there")
}

// within returns the namespaces that the agent is let into, sorted; none: it has the
// whole cluster. own is where the agent itself is.
func (r *rights) within(cmd *cobra.Command, own string) ([]string, error) {
	wrong := func(err error) ([]string, error) { return nil, usageError{cmd.CommandPath(), err} }
	switch {
	case r.profile != profileClusterAdmin && r.profile != profileNamespaces:
		return wrong(fmt.Errorf("--profile %q: want %s or %s", r.profile, profileClusterAdmin, profileNamespaces))
	case r.profile == profileClusterAdmin && len(r.namespaces) > 0:
		return wrong(errors.New("--namespaces goes with --profile namespaces: a cluster-admin has all of them"))
	case r.profile == profileNamespaces && len(r.namespaces) == 0:
		return wrong(errors.New("--profile namespaces needs --namespaces, as in --namespaces shop,blog"))
	}
	for _, namespace := range r.namespaces {
		if _, err := fleet.ParseClusterName(namespace); err != nil { // the same rule
			return wrong(fmt.Errorf("--namespaces: %q is not a DNS label", namespace))
		}
		if namespace == own {
			return wrong(fmt.Errorf("--namespaces: %q is the agent's own: it keeps its key there, and apps have no business in it", namespace))
		}
	}
	sorted := slices.Clone(r.namespaces)
	slices.Sort(sorted)
	return slices.Compact(sorted), nil
}
