package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/navarch/navarch/hub/access"
)

// accessTTL is how long an access token is good unless told otherwise.
const accessTTL = 12 * time.Hour

type tokenAccess struct {
	identity string
	ttl      time.Duration
	access.Token
}

func newTokenAccess() *cobra.Command {
	var o tokenAccess
	cmd := &cobra.Command{
		Use:   "access --name NAME --identity DIR",
		Short: "Make a token that a person or a program signs in with",
		Long: `Make an access token: who has it may use the dashboard and the API of the hub.

It is signed with the hub's identity; the hub stores nothing of it and is not told,
so its audit log says what is done with the token and not that it was made. The
dashboard takes it in its form, programs send it as a bearer token, and
"navarch status", "release", "explain" and "plan" read it from the file that
--token-file names, or from NAVARCH_TOKEN. Keep it as you keep a password. Its id,
which is said when it is made, takes it back before it expires: write it under
revokedTokens in the hub's access file.

A viewer sees, an operator also releases commits that are held, an admin also adds,
approves and cuts off clusters and reads the audit log.`,
		Example: `  # an admin, for half a day
  navarch token access --name ada --identity ./identity

  # Prometheus, which reads /metrics
  navarch token access --name prometheus --role viewer --ttl 8760h --identity ./identity > prometheus.token

  # who releases what one team has in production
  navarch token access --name grace --role operator --apps team=shop --clusters env=prod --identity ./identity`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Name, "name", "", "who it is for, as the audit log says it (required)")
	flags.StringVar(&o.Role, "role", access.Admin.String(), "viewer, operator or admin")
	flags.StringVar(&o.Apps, "apps", "", "only for apps with these labels, as in team=shop")
	flags.StringVar(&o.Clusters, "clusters", "", "only for clusters with these labels, as in env=prod")
	flags.DurationVar(&o.ttl, "ttl", accessTTL, "how long it is good")
	flags.StringVar(&o.identity, "identity", "", "identity folder of the hub (required)")
	return cmd
}

func (o tokenAccess) run(cmd *cobra.Command) error {
	switch {
	case o.Name == "":
		return needFlag(cmd, "name", "ada")
	case o.identity == "":
		return needFlag(cmd, "identity", "./identity")
	case o.ttl <= 0:
		return usageError{cmd.CommandPath(), fmt.Errorf("--ttl %s: want a time to come", o.ttl)}
	}
	if _, _, err := o.Caller(); err != nil {
		return usageError{cmd.CommandPath(), err}
	}
	identity, err := existingIdentity(o.identity)
	if err != nil {
		return err
	}
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return fmt.Errorf("make an access token: %w", err)
	}
	o.ID, o.Expires = hex.EncodeToString(id), time.Now().Add(o.ttl)
	text, err := o.Seal(identity.SigningKey())
	if err != nil {
		return err
	}
	cmd.PrintErrf("access token %s, good until %s\n", o.ID, o.Expires.UTC().Format(time.RFC3339))
	_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}

// The flag and the variable that say who asks a hub.
const (
	tokenFileFlag = "token-file"
	tokenVariable = "NAVARCH_TOKEN" //nolint:gosec // it is the name of one
)

// tokenFlag adds the flag that says who asks. A token is never a flag itself: every
// process on the machine can read those.
func tokenFlag(flags *pflag.FlagSet) {
	flags.String(tokenFileFlag, "", "file with the access token for the hub; default what NAVARCH_TOKEN holds")
}

// readToken returns the token of a command that asks a hub; empty: none. It does not
// give one to a hub that everybody on the way could read it from.
func readToken(cmd *cobra.Command, hub *url.URL) (string, error) {
	flag := cmd.Flags().Lookup(tokenFileFlag)
	if flag == nil {
		return "", nil
	}
	token := os.Getenv(tokenVariable)
	if file := flag.Value.String(); file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("--%s: %w", tokenFileFlag, err)
		}
		token = string(content)
	}
	token = strings.TrimSpace(token)
	switch {
	case strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }):
		return "", fmt.Errorf("the access token is more than one word (say --%s with a file that holds nothing else)", tokenFileFlag)
	case token != "" && hub.Scheme != "https" && !onThisMachine(hub.Hostname()):
		return "", errors.New("the access token would travel where everybody can read it: ask the hub by https, or by an address of loopback")
	}
	return token, nil
}

func onThisMachine(host string) bool {
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && address.Unmap().IsLoopback()
}
