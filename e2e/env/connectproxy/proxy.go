// Package connectproxy is an HTTP proxy that connects its clients to others, as sites
// have that let nothing out otherwise. It is real, and it counts.
package connectproxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
)

// Config says how a proxy behaves. Its zero value lets everybody go everywhere.
type Config struct {
	Listen   string            // default: a free port of loopback
	TLS      *tls.Config       // of an https:// proxy; nil: http://
	User     string            // who may use it; empty: everybody
	Password string            // of User
	Hosts    map[string]string // addresses by "host:port", for names that nobody else knows
}

// Proxy is a running proxy.
type Proxy struct {
	config   Config
	listener net.Listener
	server   *http.Server

	mu      sync.Mutex
	asked   []string // addresses that it connected to, in order
	refused int
	tunnels map[net.Conn]bool
}

// Start starts a proxy.
func Start(ctx context.Context, c Config) (*Proxy, error) {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("start a proxy: %w", err)
	}
	p := &Proxy{config: c, listener: listener, tunnels: map[net.Conn]bool{}}
	p.server = &http.Server{
		Handler: http.HandlerFunc(p.serve), ErrorLog: log.New(io.Discard, "", 0),
	}
	if c.TLS != nil {
		listener = tls.NewListener(listener, c.TLS)
	}
	go func() {
		if err := p.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(err)
		}
	}()
	return p, nil
}

// Address returns "host:port" of the proxy.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Hosts returns the names that only the proxy knows.
func (p *Proxy) Hosts() map[string]string { return p.config.Hosts }

// Asked returns where the proxy has connected its clients to, in order.
func (p *Proxy) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.asked...)
}

// Refused returns how many requests were without the right credentials.
func (p *Proxy) Refused() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused
}

// Cut cuts every connection through the proxy, which goes on.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.tunnels {
		_ = conn.Close() // it may have ended by itself
	}
}

// Close ends the proxy and every connection through it.
func (p *Proxy) Close() error {
	err := p.server.Close()
	p.Cut()
	return err
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "this proxy only connects", http.StatusMethodNotAllowed)
		return
	}
	if want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.config.User+":"+p.config.Password)); p.config.User != "" && r.Header.Get("Proxy-Authorization") != want {
		p.mu.Lock()
		p.refused++
		p.mu.Unlock()
		w.Header().Set("Proxy-Authenticate", `Basic realm="this site"`)
		http.Error(w, r.Header.Get("Proxy-Authorization"), http.StatusProxyAuthRequired) // as unkind as a proxy can be
		return
	}
	address := r.Host
	if known := p.config.Hosts[address]; known != "" {
		address = known
	}
	out, err := new(net.Dialer).DialContext(r.Context(), "tcp", address)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	in, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = out.Close()
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, r.Host)
	p.tunnels[in], p.tunnels[out] = true, true
	p.mu.Unlock()
	p.tunnel(in, out, buffered)
}

// tunnel copies both ways until one side ends.
func (p *Proxy) tunnel(in, out net.Conn, buffered *bufio.ReadWriter) {
	var both sync.WaitGroup
	end := func() { _, _ = in.Close(), out.Close() }
	if _, err := buffered.WriteString("HTTP/1.1 200 Connection established\r\n\r\n"); err != nil || buffered.Flush() != nil {
		end()
	}
	both.Go(func() {
		defer end()
		_, _ = io.Copy(out, buffered.Reader)
	})
	both.Go(func() {
		defer end()
		_, _ = io.Copy(in, out)
	})
	both.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.tunnels, in)
	delete(p.tunnels, out)
}
