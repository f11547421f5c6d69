package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/hub/repo"
	"github.com/navarch/navarch/manifests"
)

type installHub struct {
	repo, branch, natsURL                  string
	hosts, agentURLs                       []string
	identity, image, agentImage, namespace string
	systemd, webSocket                     bool
	hubFiles
}

func newInstallHub() *cobra.Command {
	var o installHub
	cmd := &cobra.Command{
		Use:   "hub --repo URL --host HOST (--identity DIR | --systemd)",
		Short: "Print the manifest or the systemd unit of a hub",
		Long: `Print the manifest that installs a hub in a cluster or, with --systemd, a unit
for a machine without Kubernetes.

A hub has an identity: the keys that sign what it announces and that admit its
agents. It is made in the folder given with --identity, if that is empty, and
goes into a Secret of its own, apart from the hub's data volume: the volume may
be lost and is filled again from Git, but agents obey no other identity. Back
the folder up and keep it as you keep a root password. With --systemd the hub
makes its identity on its own machine, in /etc/navarch/identity.

The files that other flags name are copied into Secrets and mounted, read-only,
where the arguments of the hub say; with --systemd the unit says where you put
them. They are read and checked as the hub does it: a mistake is said, and nothing
is printed. An access file (--access) has to have the files that it names beside
it, and names them without a folder.

Agents reach the hub under the names given with --host. A hub in a cluster listens
for everybody, so it asks people who they are: "navarch token access" makes a
token, and --access names who may sign in at an identity provider.`,
		Example: `  # a hub in a cluster, for a public repository
  navarch install hub --repo https://git.example.com/fleet.git --host hub.example.com --identity ./identity | kubectl apply --server-side -f -

  # a private repository that tells the hub about every push
  navarch install hub --repo https://git.example.com/fleet.git --git-username deploy --git-password-file ./token \
      --webhook-secret-file ./webhook-secret --host hub.example.com --identity ./identity > hub.yaml

  # a repository over SSH, of which only what a listed key has signed is deployed
  navarch install hub --repo git@git.example.com:team/fleet.git --git-ssh-key-file ./deploy-key --git-known-hosts-file ./known_hosts \
      --verify commits --verify-keys ./verify-keys --host hub.example.com --identity ./identity > hub.yaml

  # people who sign in at an identity provider
  navarch install hub --repo https://git.example.com/fleet.git --access ./access.yaml --host hub.example.com --identity ./identity > hub.yaml

  # a hub on a machine without Kubernetes
  navarch install hub --systemd --repo https://git.example.com/fleet.git --branch live --host hub.example.com > navarch-hub.service`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.repo, "repo", "", "URL of the fleet repository, https or ssh, without a password in it (required)")
	flags.StringVar(&o.branch, "branch", "main", "branch to deploy")
	o.flags(flags)
	flags.StringArrayVar(&o.hosts, "host", nil, "name or address under which agents reach the hub; may be repeated (required)")
	flags.BoolVar(&o.webSocket, "websocket", false, "have agents reach NATS over WebSocket on port 443 too, for sites that allow nothing else")
	flags.StringVar(&o.natsURL, "nats-url", "", "use NATS servers of your own, tls://HOST:PORT with commas between, in place of the hub's")
	flags.StringSliceVar(&o.agentURLs, "agent-urls", nil, "comma-separated URLs, tls:// or wss://, under which agents reach NATS, for install manifests; default those of --host")
	flags.StringVar(&o.identity, "identity", "", "identity folder of the hub, made when it is empty (required without --systemd)")
	flags.StringVar(&o.image, "image", manifests.HubImage(builtVersion()), "image of the hub")
	flags.StringVar(&o.agentImage, "agent-image", "", "image of the agents in what /install/ answers; default that of the hub's version")
	flags.StringVar(&o.namespace, "namespace", manifests.DefaultNamespace, "namespace of the hub")
	flags.BoolVar(&o.systemd, "systemd", false, "print a systemd unit instead of a manifest")
	return cmd
}

func (o *installHub) run(cmd *cobra.Command) error {
	config, err := o.config(cmd)
	if err != nil {
		return err
	}
	if o.systemd {
		return o.printUnit(cmd, config)
	}
	if config.Identity, err = o.makeIdentity(cmd); err != nil {
		return err
	}
	manifest, err := manifests.Hub(config)
	if err != nil {
		return err
	}
	tellOfTag(cmd, o.image)
	if _, err := cmd.OutOrStdout().Write(manifest); err != nil {
		return err
	}
	o.tellOfSignIn(cmd)
	return nil
}

// tellOfSignIn says how people come to the dashboard, which opens for nobody by itself.
func (o installHub) tellOfSignIn(cmd *cobra.Command) {
	where, forward := "http://127.0.0.1:8080", "port-forward service/navarch-hub 8080:8080"
	if u := o.dashboard; u != nil && !onThisMachine(u.Hostname()) {
		where, forward = u.String(), "get service navarch-hub    # where "+u.String()+" has to lead, port 8080"
	}
	cmd.PrintErrf(`When the hub runs, its dashboard asks who you are:
  kubectl --namespace %s %s
  navarch token access --name YOU --identity %s    # paste what it prints at %s
`, o.namespace, forward, o.identity, where)
}

// config checks the flags.
func (o *installHub) config(cmd *cobra.Command) (manifests.HubConfig, error) {
	switch {
	case o.repo == "":
		return manifests.HubConfig{}, needFlag(cmd, "repo", "https://git.example.com/fleet.git")
	case len(o.hosts) == 0:
		return manifests.HubConfig{}, needFlag(cmd, "host", "hub.example.com")
	case o.identity == "" && !o.systemd:
		return manifests.HubConfig{}, needFlag(cmd, "identity", "./identity")
	}
	if err := checkRepo(o.repo); err != nil {
		return manifests.HubConfig{}, usageError{cmd.CommandPath(), err}
	}
	if err := checkNamespace(cmd, o.namespace); err != nil {
		return manifests.HubConfig{}, err
	}
	config := manifests.HubConfig{
		Repo: o.repo, Branch: o.branch,
		Hosts: o.hosts, Image: o.image, AgentImage: o.agentImage, Namespace: o.namespace, WebSocket: o.webSocket, NATSURL: o.natsURL, AgentURLs: o.agentURLs,
	}
	if err := o.checkURLs(cmd); err != nil {
		return manifests.HubConfig{}, err
	}
	if err := o.read(&config); err != nil {
		return manifests.HubConfig{}, err
	}
	if _, err := manifests.Unit(config); err != nil {
		return manifests.HubConfig{}, usageError{cmd.CommandPath(), err}
	}
	return config, nil
}

// checkURLs refuses URLs of NATS that only agents would find to be none.
func (o installHub) checkURLs(cmd *cobra.Command) error {
	all := o.agentURLs
	if o.natsURL != "" {
		all = append(strings.Split(o.natsURL, ","), all...)
	}
	for _, text := range all {
		if err := checkHubURL(cmd, text); err != nil {
			return err
		}
	}
	return nil
}

// checkRepo refuses what a hub would refuse once it is installed, and a password that
// would be in its arguments.
func checkRepo(text string) error {
	if err := repo.CheckURL(text); err != nil {
		return fmt.Errorf("--repo: %w", err)
	}
	if u, err := url.Parse(text); err == nil && u.User != nil && u.Scheme != "ssh" {
		return errors.New("--repo has a credential in it, which everybody could read in the list of processes: use --git-username and --git-password-file")
	}
	return nil
}

// printUnit prints the unit. What would be lost in it is refused.
func (o installHub) printUnit(cmd *cobra.Command, config manifests.HubConfig) error {
	for _, flag := range []string{"identity", "image", "namespace"} {
		if cmd.Flags().Changed(flag) {
			return usageError{cmd.CommandPath(), fmt.Errorf("--%s has no meaning with --systemd: the unit says where the hub's machine keeps it", flag)}
		}
	}
	unit, err := manifests.Unit(config)
	if err != nil {
		return err
	}
	_, err = cmd.OutOrStdout().Write(unit)
	return err
}

// makeIdentity returns the file of the identity by its name. It makes an identity
// where there is none yet.
func (o installHub) makeIdentity(cmd *cobra.Command) (map[string][]byte, error) {
	made := !hasIdentity(o.identity)
	if _, err := enrol.Open(o.identity); err != nil {
		return nil, err
	}
	if made {
		cmd.PrintErrf("made the hub's identity in %s: back it up, `navarch install agent` needs it, and no agent obeys another\n", o.identity)
	}
	content, err := os.ReadFile(filepath.Join(o.identity, enrol.FileName))
	if err != nil {
		return nil, fmt.Errorf("read the hub's identity: %w", err)
	}
	return map[string][]byte{enrol.FileName: content}, nil
}

// readSecret reads a secret from the file that a flag names, if it names one.
func readSecret(flag, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--%s: %w", flag, err)
	}
	secret := strings.TrimSpace(string(content))
	if secret == "" {
		return "", fmt.Errorf("--%s %q: the file is empty", flag, file)
	}
	return secret, nil
}
