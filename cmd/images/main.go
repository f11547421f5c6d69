package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1) //nolint:gocritic // the process ends; there is no signal left to stop
	}
}

func run(ctx context.Context, args []string) error {
	r := release{Images: all}
	var out, push, platforms, when string
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	flags.StringVar(&r.Source, "source", ".", "folder of the source")
	flags.StringVar(&r.Version, "version", "", "version, which is also the tag of the images")
	flags.StringVar(&r.Revision, "revision", "", "commit that is built")
	flags.StringVar(&when, "time", "0", "time of the commit in seconds since 1970, which all files get")
	flags.StringVar(&platforms, "platforms", "linux/amd64,linux/arm64", "platforms to build for")
	flags.StringVar(&out, "out", "out/images", "folder for the images; it is replaced")
	flags.StringVar(&r.Registry, "registry", "ghcr.io/navarch", "where clusters find the images, which manifests then name")
	flags.StringVar(&push, "push", "", "registry to push to, as in registry.example.com/navarch; manifests then name this one")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if r.Version == "" {
		return errors.New("the images need a version: say --version")
	}
	seconds, err := strconv.ParseInt(when, 10, 64)
	if err != nil {
		return fmt.Errorf("--time %q: want seconds since 1970, as `git log -1 --format=%%ct` prints them", when)
	}
	r.Time = time.Unix(seconds, 0).UTC()
	for platform := range strings.SplitSeq(platforms, ",") {
		parsed, err := v1.ParsePlatform(platform)
		if err != nil || parsed.OS == "" || parsed.Architecture == "" {
			return fmt.Errorf("--platforms %q: want names such as linux/arm64", platforms)
		}
		r.Platforms = append(r.Platforms, *parsed)
	}
	if push != "" {
		r.Registry = push
	}
	work, err := os.MkdirTemp("", "navarch-images-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	built, err := r.build(ctx, work)
	if err != nil {
		return err
	}
	if err := write(built, out); err != nil {
		return err
	}
	if push != "" {
		for _, b := range built {
			if err := b.push(ctx); err != nil {
				return err
			}
		}
	}
	for _, b := range built {
		fmt.Println(b.Reference())
	}
	fmt.Fprintf(os.Stderr, "written to %s\n", filepath.Clean(out))
	return nil
}
