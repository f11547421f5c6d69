package main

import (
	"errors"
	"flag"
	"time"

	"github.com/navarch/navarch/agent"
)

// keyFlags are the flags about the agent's own key.
func keyFlags(flags *flag.FlagSet, c *agent.Config) {
	flags.Func("agent-key-life", "how old the agent's key becomes before it makes another; default a year", func(text string) error {
		life, err := time.ParseDuration(text)
		if err == nil && life < time.Second {
			err = errors.New("want a second or more, as in 2160h")
		}
		c.KeyLife = life
		return err
	})
}
