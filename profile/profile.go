package profile

import (
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"time"
)

// Serve serves profiles at /debug/pprof/ of an address of loopback, such as
// 127.0.0.1:6060, until the process ends. Any other address is refused: profiles
// tell what is in memory.
func Serve(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().IsLoopback() {
		return fmt.Errorf("serve profiles at %q: want an address of loopback with a port, such as 127.0.0.1:6060", address)
	}
	listener, err := net.Listen("tcp", address) //nolint:noctx // it ends with the process
	if err != nil {
		return fmt.Errorf("serve profiles: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // it has nobody to tell
	return nil
}
