package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/navarch/navarch/manifests"
	"github.com/navarch/navarch/wire"
)

// defaultTTL is how long a token is good unless told otherwise.
const defaultTTL = time.Hour

func newToken() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "token",
		GroupID: "other",
		Short:   "Make tokens that clusters join with, and tokens for people",
		Long: `Make tokens that clusters join with, and tokens for people.

A token to join is good for one cluster and one agent, and not for long. The agent
makes a key of its own, and the token makes the hub admit that key. An access token
lets a person or a program use the dashboard and the API.`,
		Example: `  # one line for the administrator of cluster eu-3
  navarch token create --cluster eu-3 --identity ./identity --hub https://hub.example.com

  # good for a day, and a person approves
  navarch token create --cluster eu-3 --identity ./identity --ttl 24h --approve manual

  # as a file
  navarch token create --cluster eu-3 --identity ./identity --nats tls://hub.example.com:4222 --out eu-3.yaml`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenCreate(), newTokenAccess())
	return cmd
}

type tokenCreate struct {
	installAgent
	hub, approve, out, kustomize string
	labels                       map[string]string
}

func newTokenCreate() *cobra.Command {
	o := tokenCreate{installAgent: installAgent{namespace: manifests.DefaultNamespace}}
	cmd := &cobra.Command{
		Use:   "create --cluster NAME --identity DIR",
		Short: "Make a token and print the line that installs a cluster's agent",
		Long: `Make a token and print the one line that installs the agent of a cluster.

A token is good for one cluster and one agent, and not for long. It is signed with
the hub's identity; the hub need not be told of it. The line fetches the manifest
from the hub. Where the cluster does not reach the hub's dashboard, --out and
--kustomize write the same to files, with the URLs of the hub's NATS given by --nats.`,
		Example: `  # one line for the administrator of cluster eu-3
  navarch token create --cluster eu-3 --identity ./identity --hub https://hub.example.com

  # an agent that has no rights beyond two namespaces of the cluster
  navarch token create --cluster eu-3 --identity ./identity --hub https://hub.example.com --profile namespaces --namespaces shop,blog

  # a file for a site without a way to the dashboard
  navarch token create --cluster eu-3 --identity ./identity --nats tls://hub.example.com:4222 --out eu-3.yaml

  # a kustomize base, and a person who approves
  navarch token create --cluster eu-3 --identity ./identity --nats tls://hub.example.com:4222 --kustomize clusters/eu-3 --approve manual --ttl 24h`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	flags := cmd.Flags()
	hubFlag(flags, &o.hub)
	flags.StringVar(&o.cluster, "cluster", "", "name of the cluster in the fleet repository (required)")
	flags.StringVar(&o.identity, "identity", "", "identity folder of the hub (required)")
	flags.DurationVar(&o.ttl, "ttl", defaultTTL, "how long the token is good")
	flags.StringToStringVar(&o.labels, "labels", nil, "labels that `navarch clusters list` shows, as in env=prod,site=ham")
	flags.StringVar(&o.approve, "approve", "auto", "auto, or manual: the agent waits for `navarch clusters approve`")
	o.rights.flags(flags)
	flags.StringVar(&o.out, "out", "", "write the manifest to this file")
	flags.StringVar(&o.kustomize, "kustomize", "", "write a kustomize base into this folder, which must be empty")
	flags.StringArrayVar(&o.hubs, "nats", nil, "URL under which the cluster reaches the hub's NATS, for --out and --kustomize; may be repeated")
	flags.StringVar(&o.ca, "hub-ca", "", "file with the certificate authority of a NATS server of your own, for --out and --kustomize; default the hub's")
	o.proxyFlags(flags, ", for --out and --kustomize")
	flags.StringVar(&o.image, "image", manifests.AgentImage(builtVersion()), "image of the agent, for --out and --kustomize")
	return cmd
}

func (o tokenCreate) run(cmd *cobra.Command) error {
	inFiles := o.out != "" || o.kustomize != ""
	switch {
	case o.cluster == "":
		return needFlag(cmd, "cluster", "eu-3")
	case o.identity == "":
		return needFlag(cmd, "identity", "./identity")
	case o.approve != "auto" && o.approve != "manual":
		return usageError{cmd.CommandPath(), fmt.Errorf("--approve %q: want auto or manual", o.approve)}
	case o.ttl <= 0:
		return usageError{cmd.CommandPath(), fmt.Errorf("--ttl %s: want a time to come", o.ttl)}
	case o.out != "" && o.kustomize != "":
		return usageError{cmd.CommandPath(), errors.New("--out and --kustomize exclude each other: a token is good for one agent")}
	case !inFiles && o.proxy != "":
		return usageError{cmd.CommandPath(), errors.New("--proxy goes into a file, as its password may: say --out or --kustomize")}
	case inFiles && len(o.hubs) == 0:
		return needFlag(cmd, "nats", "tls://hub.example.com:4222")
	}
	hub, err := parseHub(cmd, o.hub)
	if err != nil {
		return err
	}
	config, token, err := o.config(cmd, wire.Invitation{
		Expires: time.Now().Add(o.ttl), Approve: o.approve == "manual", Labels: o.labels,
	})
	if err == nil && inFiles {
		tellOfTag(cmd, o.image)
	}
	switch {
	case err != nil:
		return err
	case o.kustomize != "":
		return o.writeBase(config)
	case o.out != "":
		manifest, err := manifests.Agent(config)
		if err != nil {
			return err
		}
		return os.WriteFile(o.out, manifest, 0o600)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), token.Line(hub.url.String()))
	return err
}

// writeBase writes a kustomize base whose Secret is made from files.
func (o tokenCreate) writeBase(config manifests.AgentConfig) error {
	files, err := manifests.AgentBase(config)
	if err != nil {
		return err
	}
	return writeFolder("--kustomize", o.kustomize, files)
}
