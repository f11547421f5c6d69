package main

import (
	"flag"

	"github.com/navarch/navarch/agent"
)

// secretFlags adds the flags about encrypted objects.
func secretFlags(flags *flag.FlagSet, c *agent.Config) {
	flags.StringVar(&c.Decrypter, "decrypter", "", "program that decrypts what SOPS has encrypted; default: navarch-decrypt beside this one")
}
