package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// weather is what a connection has to go through.
type weather struct {
	refuse  bool          // new connections are closed at once
	swallow bool          // nothing arrives any more, and nobody is told
	delay   time.Duration // of every piece
	rate    int           // bytes a second; 0: as fast as it goes
}

// proxy stands between an agent and the hub's NATS port.
type proxy struct {
	listener net.Listener
	target   string          // host:port
	ctx      context.Context //nolint:containedctx // ends what the proxy relays when it is closed
	close    context.CancelFunc
	relays   sync.WaitGroup

	mu      sync.Mutex
	weather weather
	changed chan struct{} // closed when the weather changes
	conns   map[net.Conn]bool
}

// listen starts a proxy in front of a host and port.
func listen(target string) (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a proxy: %w", err)
	}
	p := &proxy{listener: listener, target: target, changed: make(chan struct{}), conns: map[net.Conn]bool{}}
	p.ctx, p.close = context.WithCancel(context.Background())
	p.relays.Go(p.serve)
	return p, nil
}

// Address is the host and port where the proxy listens.
func (p *proxy) Address() string { return p.listener.Addr().String() }

// Close ends the proxy and everything that goes through it.
func (p *proxy) Close() {
	p.close()
	_ = p.listener.Close() // it is closed either way
	p.Cut()
	p.relays.Wait()
}

// Cut ends the connections that are there.
func (p *proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close() // its relay tells nobody
	}
}

// Set changes the weather, for connections that are there too.
func (p *proxy) Set(w weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.weather = w
	close(p.changed)
	p.changed = make(chan struct{})
}

// now returns the weather and what is closed when it changes.
func (p *proxy) now() (weather, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.weather, p.changed
}

func (p *proxy) serve() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.relays.Go(func() { p.connect(conn) })
	}
}

func (p *proxy) connect(from net.Conn) {
	defer from.Close()
	if w, _ := p.now(); w.refuse {
		return
	}
	to, err := new(net.Dialer).DialContext(p.ctx, "tcp", p.target)
	if err != nil {
		return // the hub is away, and so are we
	}
	defer to.Close()
	p.mu.Lock()
	p.conns[from], p.conns[to] = true, true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, from)
		delete(p.conns, to)
	}()
	if p.ctx.Err() != nil {
		return // it was closed before it could cut this one
	}
	var both sync.WaitGroup
	both.Go(func() { p.relay(to, from) })
	both.Go(func() { p.relay(from, to) })
	both.Wait()
}

// relay carries what comes from one side to the other, and ends both with either.
func (p *proxy) relay(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	piece := make([]byte, 4096)
	for {
		n, err := from.Read(piece)
		if n > 0 && !p.pass(n) {
			return
		}
		if _, failed := to.Write(piece[:n]); err != nil || failed != nil {
			return
		}
	}
}

// pass takes as long as a piece of n bytes does in the weather, and tells whether it
// arrives.
func (p *proxy) pass(n int) bool {
	for {
		w, changed := p.now()
		pause := w.delay
		if w.rate > 0 {
			pause += time.Duration(n) * time.Second / time.Duration(w.rate)
		}
		var over <-chan time.Time
		if !w.swallow {
			over = time.After(pause)
		}
		select {
		case <-p.ctx.Done():
			return false
		case <-over:
			return true
		case <-changed:
		}
	}
}
