package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/manifests"
	"github.com/navarch/navarch/wire"
)

type installAgent struct {
	proxyOf
	cluster, identity, image, namespace, ca string
	hubs                                    []string
	ttl                                     time.Duration
	rights                                  rights
}

func newInstallAgent() *cobra.Command {
	var o installAgent
	cmd := &cobra.Command{
		Use:   "agent --cluster NAME --hub tls://HOST:PORT --identity DIR",
		Short: "Print the manifest of one cluster's agent",
		Long: `Print the manifest that installs the agent of one member cluster.

The agent only connects outwards, to the URLs given with --hub, and obeys only
the hub whose identity folder is given with --identity: it pins that hub's
certificate authority and signing key. The manifest holds a token: the agent joins
with it as this one cluster, once, within an hour; until then keep it as you keep
a password. "navarch token create" makes tokens that ask for more, and a line to
apply in place of a manifest.

The name of the cluster is the one that it has in the fleet repository.`,
		Example: `  # install the agent of cluster eu-1
  navarch install agent --cluster eu-1 --hub tls://hub.example.com:4222 --identity ./identity | kubectl --context eu-1 apply --server-side -f -

  # two ways to the same hub, and an image from a registry of your own
  navarch install agent --cluster edge-1 --hub tls://hub.example.com:4222 --hub tls://10.0.0.7:4222 --identity ./identity --image registry.example.com/navarch-agent:v1

  # let the agent into two namespaces only
  navarch install agent --cluster eu-1 --hub tls://hub.example.com:4222 --identity ./identity --profile namespaces --namespaces shop,blog

  # read it before you apply it
  navarch install agent --cluster eu-1 --hub tls://hub.example.com:4222 --identity ./identity | less`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.cluster, "cluster", "", "name of the cluster in the fleet repository (required)")
	flags.StringArrayVar(&o.hubs, "hub", nil, "URL under which this cluster reaches the hub's NATS; may be repeated (required)")
	flags.StringVar(&o.ca, "hub-ca", "", "file with the certificate authority of a NATS server of your own; default the hub's")
	flags.StringVar(&o.identity, "identity", "", "identity folder of the hub (required)")
	flags.DurationVar(&o.ttl, "ttl", defaultTTL, "how long the token in it is good")
	flags.StringVar(&o.image, "image", manifests.AgentImage(builtVersion()), "image of the agent")
	flags.StringVar(&o.namespace, "namespace", manifests.DefaultNamespace, "namespace of the agent")
	o.proxyFlags(flags, "")
	o.rights.flags(flags)
	return cmd
}

func (o installAgent) run(cmd *cobra.Command) error {
	switch {
	case o.cluster == "":
		return needFlag(cmd, "cluster", "eu-1")
	case len(o.hubs) == 0:
		return needFlag(cmd, "hub", "tls://hub.example.com:4222")
	case o.identity == "":
		return needFlag(cmd, "identity", "./identity")
	}
	manifest, err := o.manifest(cmd, wire.Invitation{Expires: time.Now().Add(o.ttl)})
	if err != nil {
		return err
	}
	tellOfTag(cmd, o.image)
	_, err = cmd.OutOrStdout().Write(manifest)
	return err
}

// manifest makes a token of an invitation, for the cluster of o, and returns the
// manifest with it.
func (o installAgent) manifest(cmd *cobra.Command, invitation wire.Invitation) ([]byte, error) {
	config, _, err := o.config(cmd, invitation)
	if err != nil {
		return nil, err
	}
	return manifests.Agent(config)
}

// config makes a token and returns what the manifest of its agent says.
func (o installAgent) config(cmd *cobra.Command, invitation wire.Invitation) (manifests.AgentConfig, wire.Token, error) {
	var none manifests.AgentConfig
	var token wire.Token
	var err error
	if invitation.Cluster, err = fleet.ParseClusterName(o.cluster); err != nil {
		return none, token, usageError{cmd.CommandPath(), err}
	}
	for _, hub := range o.hubs {
		if err := checkHubURL(cmd, hub); err != nil {
			return none, token, err
		}
	}
	if err := checkNamespace(cmd, o.namespace); err != nil {
		return none, token, err
	}
	if err := o.checkProxy(); err != nil {
		return none, token, usageError{cmd.CommandPath(), err}
	}
	if invitation.Namespaces, err = o.rights.within(cmd, o.namespace); err != nil {
		return none, token, err
	}
	identity, err := existingIdentity(o.identity)
	if err != nil {
		return none, token, err
	}
	ca := identity.CA()
	if o.ca != "" {
		if ca, err = os.ReadFile(o.ca); err != nil {
			return none, token, fmt.Errorf("--hub-ca: %w", err)
		}
	}
	token, err = identity.NewToken(invitation)
	if err != nil {
		return none, token, err
	}
	door, err := identity.DoorCredentials(invitation.Cluster)
	if err != nil {
		return none, token, err
	}
	return manifests.AgentConfig{
		Cluster:    o.cluster,
		Hub:        o.hubs,
		HubKey:     identity.PublicKey(),
		Token:      token.String(),
		Door:       door,
		CA:         ca,
		Image:      o.image,
		Namespace:  o.namespace,
		Proxy:      o.proxy,
		NoProxy:    o.noProxy,
		Namespaces: invitation.Namespaces,
	}, token, nil
}
