// Command navarch-hub watches a fleet repository and tells every member cluster
// what to run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/navarch/navarch/cmd/internal/profile"
	"github.com/navarch/navarch/hub"
	"github.com/navarch/navarch/hub/enrol"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	config, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = hub.Run(ctx, config)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1) //nolint:gocritic // the process ends; there is no signal left to stop
	}
}

// parse turns flags into a configuration. Secrets come from files or the
// environment, never from flags, which every process on the machine can read.
func parse(args []string) (hub.Config, error) {
	var c hub.Config
	var hosts, passwordFile, webhookFile, level string
	flags := flag.NewFlagSet("navarch-hub", flag.ContinueOnError)
	flags.StringVar(&c.Repository.URL, "repo", "", "URL of the fleet repository (required)")
	flags.StringVar(&c.Repository.Branch, "branch", "main", "branch to deploy")
	flags.StringVar(&c.Repository.Username, "git-username", "", "user name for the Git server")
	flags.StringVar(&passwordFile, "git-password-file", "", "file with the password or token for the Git server")
	gitFlags(flags, &c)
	flags.DurationVar(&c.Repository.Poll, "poll", hub.DefaultPoll, "how often to look at the repository when no webhook tells")
	flags.StringVar(&webhookFile, "webhook-secret-file", "", "file with the secret of push webhooks at /webhook; none: no webhooks")
	flags.StringVar(&c.Data, "data", "/var/lib/navarch", "folder for what can be derived again")
	flags.StringVar(&c.Identity, "identity", "/etc/navarch/identity", "folder of the hub's keys, made when it is empty: back it up")
	flags.StringVar(&c.Listen, "listen", hub.DefaultListen, "address of the dashboard, API and metrics")
	flags.IntVar(&c.Series, "metrics-series", hub.DefaultSeries, "clusters, and apps, with metrics of their own; the others are summed up")
	finishNATS := natsFlags(flags, &c)
	flags.StringVar(&c.Join.Members, "members", "", "file of which clusters have joined; default members.json in the identity folder: back it up with it")
	flags.DurationVar(&c.Join.Life, "credential-life", enrol.DefaultLife, "how long an agent's credential is good; it is renewed after two thirds of that")
	flags.StringVar(&c.Join.Image, "agent-image", "", "image of the agent in install manifests; default that of this version")
	flags.StringVar(&hosts, "hosts", "", "comma-separated names and addresses under which agents reach this hub")
	peopleFlags(flags, &c.Access)
	flags.Func("pprof", "address of loopback that serves profiles; default: none", profile.Serve)
	flags.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	if err := flags.Parse(args); err != nil {
		return hub.Config{}, err
	}
	if flags.NArg() > 0 {
		return hub.Config{}, fmt.Errorf("unexpected argument %q: navarch-hub takes flags only", flags.Arg(0))
	}
	var severity slog.Level
	if err := severity.UnmarshalText([]byte(level)); err != nil {
		return hub.Config{}, fmt.Errorf("--log-level %q: want debug, info, warn or error", level)
	}
	c.Version = version
	c.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: severity}))
	if hosts != "" {
		c.NATS.Hosts = strings.Split(hosts, ",")
	}
	if c.Join.Life < time.Second {
		return hub.Config{}, fmt.Errorf("--credential-life %s: want a second or more", c.Join.Life)
	}
	err := finishNATS()
	if err != nil {
		return hub.Config{}, err
	}
	if c.Repository.Password, err = secret(passwordFile, "NAVARCH_GIT_PASSWORD"); err != nil {
		return hub.Config{}, fmt.Errorf("--git-password-file: %w", err)
	}
	if c.WebhookSecret, err = secret(webhookFile, "NAVARCH_WEBHOOK_SECRET"); err != nil {
		return hub.Config{}, fmt.Errorf("--webhook-secret-file: %w", err)
	}
	return c, nil
}

// secret reads a secret from a file, or from the environment where no file is named.
func secret(file, variable string) (string, error) {
	if file == "" {
		return os.Getenv(variable), nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(content)), nil
}
