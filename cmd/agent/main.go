// Command navarch-agent keeps a member cluster at what its hub announces.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/navarch/navarch/agent"
	"github.com/navarch/navarch/cmd/internal/profile"
)

// version is set by the linker.
var version = "dev"

// garbage is how much garbage there may be, in percent of what is in use: half of what
// Go allows by default. An agent runs in every cluster, and its work is short.
const garbage = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	config, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = agent.Run(ctx, config)
	}
	if err != nil && ctx.Err() == nil { // who was told to end has no error to tell
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1) //nolint:gocritic // the process ends; there is no signal left to stop
	}
}

// parse turns flags and the folder of the install manifest's Secret into a
// configuration.
func parse(args []string) (agent.Config, error) {
	c := agent.Config{Version: version}
	var dir, kubeconfig, level string
	flags := flag.NewFlagSet("navarch-agent", flag.ContinueOnError)
	flags.StringVar(&dir, "config", "/etc/navarch", "folder with agent.yaml, token, door.creds and ca.crt, as the install manifest mounts it")
	flags.StringVar(&kubeconfig, "kubeconfig", "", "kubeconfig of the cluster; default: the ServiceAccount of this pod")
	flags.StringVar(&c.Namespace, "namespace", agent.DefaultNamespace, "namespace where the agent keeps its inventory")
	flags.StringVar(&c.Identity, "identity", "", "name of this agent among those of the cluster; default the host's name")
	flags.StringVar(&c.Cache, "cache", "", "folder that keeps content for a start without the hub; default: memory only")
	keyFlags(flags, &c)
	flags.StringVar(&c.Listen, "listen", ":8081", "address of metrics and probes; empty: none")
	flags.Func("pprof", "address of loopback that serves profiles; default: none", profile.Serve)
	secretFlags(flags, &c)
	flags.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q: navarch-agent takes flags only", flags.Arg(0))
	}
	var severity slog.Level
	if err := severity.UnmarshalText([]byte(level)); err != nil {
		return c, fmt.Errorf("--log-level %q: want debug, info, warn or error", level)
	}
	c.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: severity}))
	klog.SetSlogLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: max(severity, slog.LevelWarn)})))
	if err := readConfig(&c, dir); err != nil {
		return c, err
	}
	var err error
	if c.REST, err = restConfig(kubeconfig); err != nil {
		return c, fmt.Errorf("find the cluster's API server: %w (run in a pod, or say --kubeconfig)", err)
	}
	c.REST.UserAgent = "navarch-agent/" + version
	return c, nil
}

func restConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err == nil { // HTTPS_PROXY is for the way to the hub
			config.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
		}
		return config, err
	}
	return clientcmd.BuildConfigFromFlags("", kubeconfig)
}
