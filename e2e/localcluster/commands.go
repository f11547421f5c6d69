package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func upCommand(l *launcher) *cobra.Command {
	var cfg upConfig
	var foreground, untilEOF, measured bool
	cmd := &cobra.Command{
		Use:   "up NAME...",
		Short: "Start clusters and print the paths of their kubeconfigs",
		Long: `Start clusters, side by side, and print the path of each one's kubeconfig on a
line of its own when its nodes are Ready and pods can be created.

A cluster that runs is left as it is, parts that it lacks are started. One that
was stopped with "down --keep" comes back as it was, on the same port.`,
		Example: `  export KUBECONFIG=$(localcluster up eu-1)
  localcluster up eu-1 us-1 edge-1 --nodes 1
  localcluster up eu-1 --foreground    # until Ctrl-C`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if cfg.kwok == "" {
				cfg.kwok = filepath.Join(filepath.Dir(l.self), kwok)
			}
			if measured {
				cfg.metricsServer = filepath.Join(filepath.Dir(l.self), metricsServer)
			}
			if !foreground {
				return l.upAll(ctx, cmd.OutOrStdout(), names, cfg)
			}
			if untilEOF {
				go func() {
					_, _ = io.Copy(io.Discard, cmd.InOrStdin())
					stop()
				}()
			}
			err := l.upAll(ctx, cmd.OutOrStdout(), names, cfg)
			if err == nil {
				<-ctx.Done()
			}
			return errors.Join(err, l.downRunning(context.WithoutCancel(ctx), names))
		},
		ValidArgsFunction: l.completeName,
	}
	flags := cmd.Flags()
	flags.IntVar(&cfg.nodes, "nodes", 3, "number of nodes of a new cluster")
	flags.StringVar(&cfg.kwok, "kwok", "", "path of the kwok program (default: beside localcluster)")
	flags.BoolVar(&measured, "metrics", false, "serve metrics.k8s.io in a new cluster, by the metrics-server beside localcluster")
	flags.DurationVar(&cfg.timeout, "timeout", 3*time.Minute, "how long a cluster may take to be ready")
	flags.BoolVar(&foreground, "foreground", false, "stay until SIGINT or SIGTERM, then remove the clusters")
	flags.BoolVar(&untilEOF, "until-eof", false, "with --foreground: also end when standard input does, as it does when the program that feeds it dies")
	return cmd
}

func downCommand(l *launcher) *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "down NAME...",
		Short: "End clusters and remove them",
		Long: `End all processes of clusters and remove their folders. A cluster that is not
there is not an error.`,
		Example: `  localcluster down eu-1
  localcluster down eu-1 --keep && localcluster up eu-1    # a restart
  localcluster down $(localcluster list --quiet)`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			var errs []error
			for _, name := range names {
				errs = append(errs, l.down(cmd.Context(), name, keep))
			}
			return errors.Join(errs...)
		},
		ValidArgsFunction: l.completeName,
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the folder, so that `up` starts the same cluster again")
	return cmd
}

func kubeconfigCommand(l *launcher) *cobra.Command {
	return &cobra.Command{
		Use:     "kubeconfig NAME",
		Short:   "Print the path of a cluster's kubeconfig",
		Example: `  KUBECONFIG=$(localcluster kubeconfig eu-1) kubectl get nodes`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := open(l.root, args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), c.kubeconfig(admin))
			return err
		},
		ValidArgsFunction: l.completeName,
	}
}

func listCommand(l *launcher) *cobra.Command {
	var quiet bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the clusters and which of their parts run",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clusters, err := openAll(l.root)
			if err != nil {
				return err
			}
			var table strings.Builder
			if !quiet {
				table.WriteString("NAME\tSTATE\tPORT\tNODES\tKUBECONFIG\n")
			}
			for _, c := range clusters {
				if quiet {
					fmt.Fprintln(&table, c.Name)
					continue
				}
				living, err := c.living()
				if err != nil {
					return err
				}
				fmt.Fprintf(&table, "%s\t%s\t%d\t%d\t%s\n", c.Name, describe(c.parts(), living), c.Port, c.Nodes, c.kubeconfig(admin))
			}
			out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
			if _, err := io.WriteString(out, table.String()); err != nil {
				return err
			}
			return out.Flush()
		},
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print the names only")
	return cmd
}

// describe says in a few words which of the parts are alive.
func describe(parts, living []string) string {
	if len(living) == len(parts) {
		return "running"
	}
	if len(living) == 0 {
		return "stopped"
	}
	return "only " + strings.Join(living, ", ")
}

func startCommand(l *launcher) *cobra.Command {
	return &cobra.Command{
		Use:   "start NAME PART",
		Short: "Start one part of a cluster again",
		Long: `Start one part of a cluster again, and return at once: the part may need a few
seconds before it does its work. To wait for the whole cluster, use "up".`,
		Example: `  localcluster start eu-1 kube-apiserver`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return l.startPart(cmd.Context(), args[0], args[1])
		},
		ValidArgsFunction: l.completePart,
	}
}

func stopCommand(l *launcher) *cobra.Command {
	var kill bool
	cmd := &cobra.Command{
		Use:   "stop NAME PART",
		Short: "End one part of a cluster",
		Long: `End one part of a cluster, and return when its process is gone. The parts are
` + strings.Join(partNames, ", ") + `.`,
		Example: `  localcluster stop eu-1 kube-apiserver
  localcluster stop eu-1 etcd --kill`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			sig := syscall.SIGTERM
			if kill {
				sig = syscall.SIGKILL
			}
			return l.stopPart(cmd.Context(), args[0], args[1], sig)
		},
		ValidArgsFunction: l.completePart,
	}
	cmd.Flags().BoolVar(&kill, "kill", false, "do not ask (SIGKILL)")
	return cmd
}

// partCommand is what `up` starts for the parts that this program holds.
func partCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "part PART [ARGS...]",
		Short:              "Be one part of a cluster, with the arguments of its stock program",
		Hidden:             true,
		Args:               cobra.MinimumNArgs(1),
		DisableFlagParsing: true,
		Run: func(_ *cobra.Command, args []string) {
			os.Exit(runComponent(args[0], args[1:]))
		},
	}
}

func (l *launcher) completeName(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	clusters, _ := openAll(l.root) // no names to offer, then
	var names []string
	for _, c := range clusters {
		names = append(names, c.Name+"\tport "+strconv.Itoa(c.Port))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (l *launcher) completePart(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return l.completeName(cmd, args, prefix)
	}
	return partNames, cobra.ShellCompDirectiveNoFileComp
}
