package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/pflag"
)

// proxyOf is the HTTP proxy on an agent's way to its hub.
type proxyOf struct{ proxy, noProxy string }

func (p *proxyOf) proxyFlags(flags *pflag.FlagSet, when string) {
	flags.StringVar(&p.proxy, "proxy", "", "HTTP proxy on the way to the hub, http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ where it wants them"+when)
	flags.StringVar(&p.noProxy, "no-proxy", "", "comma-separated names and networks that are reached without the proxy"+when)
}

// checkProxy refuses what an agent would refuse. It never repeats a password.
func (p *proxyOf) checkProxy() error {
	if p.proxy == "" {
		if p.noProxy != "" {
			return errors.New("--no-proxy has no meaning without --proxy")
		}
		return nil
	}
	u, err := url.Parse(p.proxy)
	switch {
	case err != nil || u.Hostname() == "":
		return errors.New("--proxy is no URL: want http://HOST:PORT or https://HOST:PORT")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("--proxy has scheme %q: want http://HOST:PORT or https://HOST:PORT", u.Scheme)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("--proxy has more than a host and a port: want http://HOST:PORT or https://HOST:PORT")
	case strings.ContainsAny(p.noProxy, " \n\t"):
		return errors.New("--no-proxy has white space in it: want names and networks with commas between")
	}
	return nil
}
