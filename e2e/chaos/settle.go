package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/navarch/navarch/e2e/env"
)

// kinds are those of the fleet that the environment does not look at by itself.
var kinds = []env.Kind{
	{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition"},
	{APIVersion: "chaos.example/v1", Kind: "Boat"},
}

// settled lets everything go and waits until every member equals Git.
func (c *chaos) settled(ctx context.Context) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.settle)
	defer cancel()
	for _, link := range c.links {
		link.Set(weather{})
	}
	group, whole := errgroup.WithContext(ctx)
	for _, member := range c.fleet.Members {
		group.Go(func() error { return member.Restart(whole) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	rendered := filepath.Join(c.dir, "rendered")
	out, err := exec.CommandContext(ctx, c.fleet.Tools.Navarch, "render", c.fleet.Work.Path, "--output", rendered).CombinedOutput()
	if err != nil {
		return fmt.Errorf("navarch render: %w\n%s", err, out)
	}
	for {
		err := c.equal(ctx, rendered)
		if err == nil {
			c.log.Info("settled", "after", time.Since(began).Round(100*time.Millisecond))
			return nil
		}
		for _, agent := range c.fleet.Agents {
			if err := keepAlive(ctx, agent, 100*time.Millisecond); err != nil && ctx.Err() == nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the fleet does not equal Git %s after the last fault: %w", c.settle, err)
		}
	}
}

// equal fails unless the hub and every member say what Git says.
func (c *chaos) equal(ctx context.Context, rendered string) error {
	if err := c.agree(ctx); err != nil {
		return err
	}
	now, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := c.fleet.Ready(now); err != nil {
		return err
	}
	var errs []error
	for _, member := range c.fleet.Members {
		errs = append(errs,
			member.RunsWhatStockBuilds(ctx, c.fleet.Tools.Kustomize, filepath.Join(rendered, "clusters", member.Name)),
			member.Orphans(ctx, kinds...))
	}
	return errors.Join(errs...)
}

// agree is the person whom the hub asks, which it may only after it lost its data.
func (c *chaos) agree(ctx context.Context) error {
	reasons, err := c.fleet.Holds(ctx)
	if err != nil || len(reasons) == 0 {
		return err
	}
	if !c.witness.mayAsk() {
		return fmt.Errorf("the hub waits for a person, who did nothing: %q", reasons)
	}
	c.log.Info("a person agrees", "to", reasons)
	return c.fleet.Hub.Release(ctx, c.fleet.Revision())
}

// verdict returns everything that must not have been.
func (c *chaos) verdict(ctx context.Context) error {
	var errs []error
	for _, broken := range c.witness.violations(c.repository.arrivals) {
		errs = append(errs, errors.New(broken))
	}
	for _, hand := range c.hands {
		touched, err := hand.touched(ctx)
		errs = append(errs, err)
		for _, broken := range touched {
			errs = append(errs, errors.New(broken))
		}
	}
	return errors.Join(errs...)
}
