package profile

import (
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"runtime"
	"time"
)

// sampled is after how many bytes an allocation is noted, on average; it is Go's default.
const sampled = 512 << 10

// Programs that can serve profiles note their allocations, which takes memory that
// hardly anybody ever asks about.
func init() { runtime.MemProfileRate = 0 }

// Serve serves profiles at /debug/pprof/ of an address of loopback, such as
// 127.0.0.1:6060, until the process ends. Any other address is refused: profiles
// tell what is in memory. Of allocations, those from now on are noted.
func Serve(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().IsLoopback() {
		return fmt.Errorf("serve profiles at %q: want an address of loopback with a port, such as 127.0.0.1:6060", address)
	}
	listener, err := net.Listen("tcp", address) //nolint:noctx // it ends with the process
	if err != nil {
		return fmt.Errorf("serve profiles: %w", err)
	}
	runtime.MemProfileRate = sampled
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // it has nobody to tell
	return nil
}
