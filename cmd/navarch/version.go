package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/navarch/navarch/wire"
)

func newVersion() *cobra.Command {
	var short bool
	cmd := &cobra.Command{
		Use:     "version",
		GroupID: "other",
		Short:   "Print the version of this command",
		Long: `Print the version of this command, the version of the protocol that hubs and
agents of this version speak, and what it was built with.`,
		Example: `  # everything, for a bug report
  navarch version

  # only the version, for a script
  navarch version --short

  # which agents run another version?
  navarch status -o wide | grep -v "$(navarch version --short)"`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if short {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), builtVersion())
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "navarch %s (protocol %d, %s, %s/%s)\n",
				builtVersion(), wire.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
	cmd.Flags().BoolVar(&short, "short", false, "print only the version")
	return cmd
}

// builtVersion is what the linker was told or, after `go install`, the version of
// the module.
func builtVersion() string {
	if build, ok := debug.ReadBuildInfo(); ok && version == "dev" && build.Main.Version != "" && build.Main.Version != "(devel)" {
		return build.Main.Version
	}
	return version
}
