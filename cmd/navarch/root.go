package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitOK      = 0
	exitProblem = 1
	exitDeletes = 2  // of plan: something would be deleted
	exitUsage   = 64 // as in sysexits.h
)

// usageError is a command that was typed wrong.
type usageError struct {
	command string
	err     error
}

func (e usageError) Error() string {
	return fmt.Sprintf("%v\nRun '%s --help' for usage.", e.err, e.command)
}

func (e usageError) Unwrap() error { return e.err }

// errSaid ends a command that has already printed what is wrong.
var errSaid = errors.New("problems found")

// run runs one command line and returns its exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(stdin, stdout, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errSaid):
		return exitProblem
	case errors.Is(err, errDeletes):
		return exitDeletes
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitProblem // interrupted: the person knows
	}
	root.PrintErrln("Error:", err)
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitProblem
}

// newRoot returns the command that holds all others.
func newRoot(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "navarch",
		Short: "Deploy a Git repository to a fleet of Kubernetes clusters",
		Long: `navarch deploys the apps of one Git repository to many Kubernetes clusters.

A hub watches the repository, an agent in each cluster pulls what its cluster
should run. This command is for the people around them: it scaffolds and checks
a repository, prints what has to be installed, and shows what the hub knows.`,
		Example: `  # begin a fleet repository here
  navarch init

  # find every mistake before you push
  navarch check

  # see what runs where
  navarch status --hub http://127.0.0.1:8080`,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(wrongFlag)
	root.AddGroup(
		&cobra.Group{ID: "repository", Title: "In a checkout of the fleet repository:"},
		&cobra.Group{ID: "hub", Title: "Against a running hub:"},
		&cobra.Group{ID: "other", Title: "Other:"},
	)
	root.SetHelpCommandGroupID("other")
	root.SetCompletionCommandGroupID("other")
	root.AddCommand(newInit(), newCheck(), newRender(), newPlan(), newExplain(), newStatus(), newRelease(), newInstall(), newToken(), newClusters(), newIdentity(), newNATS(), newVersion())
	return root
}

// noArgs refuses arguments and, for a command that only holds others, says which
// of them may have been meant.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !cmd.HasAvailableSubCommands() {
		return usageError{cmd.CommandPath(), fmt.Errorf("unexpected argument %q", args[0])}
	}
	hint := ""
	cmd.SuggestionsMinimumDistance = 2
	if names := cmd.SuggestionsFor(args[0]); len(names) > 0 {
		hint = fmt.Sprintf(": did you mean %q?", strings.Join(names, `" or "`))
	}
	return usageError{cmd.CommandPath(), fmt.Errorf("unknown command %q%s", args[0], hint)}
}

// folderArg admits at most one argument, a folder.
func folderArg(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usageError{cmd.CommandPath(), fmt.Errorf("want one folder, got %d arguments", len(args))}
	}
	return nil
}

// folder returns the folder that args name: the current one where they name none.
func folder(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

func wrongFlag(cmd *cobra.Command, err error) error {
	return usageError{cmd.CommandPath(), err}
}

// needFlag is a required flag that was not given.
func needFlag(cmd *cobra.Command, flag, example string) error {
	return usageError{cmd.CommandPath(), fmt.Errorf("--%s is required, as in --%s %s", flag, flag, example)}
}

// oneOf checks the value of the flag --output.
func oneOf(cmd *cobra.Command, value string, words ...string) error {
	if slices.Contains(words, value) {
		return nil
	}
	last := len(words) - 1
	return usageError{cmd.CommandPath(), fmt.Errorf("--output %q: want %s or %s", value, strings.Join(words[:last], ", "), words[last])}
}

// complete makes the shell complete the flag --output from a few words.
func complete(cmd *cobra.Command, words ...string) {
	// It fails only for a flag that does not exist, which a test would notice.
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}
