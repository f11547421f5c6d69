package hub

import (
	"cmp"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/navarch/navarch/hub/broker"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/hub/gate"
	"github.com/navarch/navarch/manifests"
	"github.com/navarch/navarch/wire"
)

// Who asks at the door is unknown: all together are answered so often.
const (
	doorEvery  = rate.Limit(20) // times a second
	doorBurst  = 50
	maxCommand = 8 << 10 // bytes
)

// door is where clusters come in: it gives install manifests to those who have a
// token, and does what the holder of the hub's identity says about members.
type door struct {
	identity *enrol.Identity
	desk     *enrol.Desk
	urls     []string
	ca       []byte // of an external NATS server; nil: the identity's
	image    string
	limit    *rate.Limiter
	log      *slog.Logger
	// journal is told what the holder of the identity does; nil: nobody is.
	journal *gate.Journal
}

func newDoor(c Config, identity *enrol.Identity, desk *enrol.Desk, server *broker.Broker) *door {
	d := &door{
		identity: identity, desk: desk, urls: c.Join.URLs, limit: rate.NewLimiter(doorEvery, doorBurst), log: c.Log,
		image: cmp.Or(c.Join.Image, manifests.AgentImage(c.Version)),
	}
	if !manifests.Pinned(d.image) {
		c.Log.Info("install manifests name the agent's image by its tag: this build knows no digest of it", "image", d.image)
	}
	if server == nil {
		d.ca = c.NATS.CA
	}
	if len(d.urls) == 0 {
		d.urls = reachable(c, server)
	}
	return d
}

// reachable returns under which URLs agents reach NATS, as far as the hub knows.
func reachable(c Config, server *broker.Broker) []string {
	if server == nil {
		return strings.Split(c.NATS.URL, ",")
	}
	var urls []string
	for _, here := range []string{server.ClientURL(), server.WebSocketURL()} {
		u, err := url.Parse(here)
		if err != nil || here == "" {
			continue
		}
		if len(c.NATS.Hosts) == 0 {
			urls = append(urls, here)
		}
		for _, host := range c.NATS.Hosts {
			urls = append(urls, u.Scheme+"://"+net.JoinHostPort(host, u.Port()))
		}
	}
	return urls
}

// install gives the manifest of an agent to who has a token that is still good. It
// says the same to everybody else.
func (d *door) install(w http.ResponseWriter, r *http.Request) {
	const no = "There is no such token, or it was used, or it has expired: make one with `navarch token create`."
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	if !d.limit.Allow() {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "Too many requests.", http.StatusTooManyRequests)
		return
	}
	token, err := wire.ParseToken(r.PathValue("token"), d.identity.TokenKeys(time.Now())...)
	if err != nil || token.String() == token.Public() || !d.desk.Roll().Good(token, time.Now()) {
		http.Error(w, no, http.StatusNotFound)
		return
	}
	manifest, err := d.manifest(token)
	if err != nil {
		d.log.Error("cannot make an install manifest", "cluster", token.Cluster, "err", err)
		http.Error(w, no, http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(manifest) //nolint:gosec // the hub signed what is in it; who went away needs none
}

func (d *door) manifest(token wire.Token) ([]byte, error) {
	credentials, err := d.identity.DoorCredentials(token.Cluster)
	if err != nil {
		return nil, err
	}
	ca := d.ca
	if ca == nil {
		ca = d.identity.CA()
	}
	return manifests.Agent(manifests.AgentConfig{
		Cluster: string(token.Cluster), Hub: d.urls, HubKey: d.identity.PublicKey(), CA: ca,
		Token: token.String(), Door: credentials, Image: d.image, Namespaces: token.Namespaces,
	})
}

// members does what a sealed [enrol.Command] says and answers with who has joined.
func (d *door) members(w http.ResponseWriter, r *http.Request) {
	say := func(status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body) // who went away needs none
	}
	if !d.limit.Allow() {
		say(http.StatusTooManyRequests, map[string]string{"error": "too many requests: try again in a second"})
		return
	}
	sealed, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCommand))
	if err != nil {
		say(http.StatusBadRequest, map[string]string{"error": "the command cannot be read"})
		return
	}
	roll, err := d.command(r, sealed, time.Now())
	if err != nil {
		say(http.StatusForbidden, map[string]string{"error": err.Error()})
		return
	}
	say(http.StatusOK, roll.Members)
}
