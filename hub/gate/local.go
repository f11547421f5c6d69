package gate

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// proxied are headers that a proxy adds. Who sends one without being a proxy only
// has to say who he is.
var proxied = []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-Ip"}

// local tells whether a request was made on the hub's own machine, by whoever is
// there. It is not where it came from elsewhere, or through a proxy, or where its
// Host is another name: a page on the internet whose name was made to lead here.
func local(r *http.Request) bool {
	address, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !address.Addr().Unmap().IsLoopback() || !loopbackHost(r.Host) {
		return false
	}
	for _, header := range proxied {
		if r.Header.Get(header) != "" {
			return false
		}
	}
	return r.ProtoAtLeast(1, 1) // proxies that say nothing of themselves speak 1.0, as nginx does unless told otherwise
}

// loopbackHost tells whether a host, with or without a port, is this machine whatever
// a name server says.
func loopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// LoopbackOnly tells whether an address to listen on, as in "127.0.0.1:8080", is
// reached from this machine only.
func LoopbackOnly(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	return err == nil && host != "" && loopbackHost(host)
}

// origin returns where a request came from, and what a proxy says of it.
func origin(r *http.Request) (from, via string) {
	from = r.RemoteAddr
	if host, _, err := net.SplitHostPort(from); err == nil {
		from = host
	}
	const most = 100
	via = r.Header.Get("X-Forwarded-For")
	return from, via[:min(len(via), most)]
}
