package main

import (
	"flag"

	"github.com/navarch/navarch/hub"
)

// peopleFlags are the flags about who may use the dashboard and the API.
func peopleFlags(flags *flag.FlagSet, a *hub.Access) {
	flags.StringVar(&a.File, "access", "", "file that says who may see and do what; none: access tokens, and whoever is on this machine where --listen is an address of loopback")
	flags.StringVar(&a.Audit, "audit", "", "file of what people did, which only grows; default audit.jsonl beside the file of members")
}
