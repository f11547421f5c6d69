package hostile

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"testing"
	"testing/fstest"

	"github.com/klauspost/compress/zstd"

	"github.com/navarch/navarch/agent/fetch"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/broker"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/overlays"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// captor is a NATS server in the hands of somebody who has every credential of the hub
// but the key that signs announcements, and an agent that is connected to it.
type captor struct {
	t       *testing.T
	key     ed25519.PrivateKey // the hub's, which is elsewhere: only the hub uses it
	stolen  *natsconn.Conn     // with the hub's credentials
	agent   *natsconn.Conn
	fetcher *fetch.Fetcher
	shop    fleet.DesiredApp // that the agent runs
	running wire.Announcement
}

func newCaptor(t *testing.T) *captor {
	t.Helper()
	identity, err := enrol.Open(t.TempDir())
	check(t, err)
	security, err := identity.ServerTLS(nil)
	check(t, err)
	operator, err := identity.OperatorJWT()
	check(t, err)
	accounts, err := identity.AccountJWTs()
	check(t, err)
	log := slog.New(slog.DiscardHandler)
	server, err := broker.Start(broker.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", TLS: security, Operator: operator, Accounts: accounts, Log: log})
	check(t, err)
	t.Cleanup(server.Shutdown)
	_, key, err := ed25519.GenerateKey(nil)
	check(t, err)
	stolen, err := identity.HubCredentials()
	check(t, err)
	credentials, err := identity.AgentCredentials("eu-1")
	check(t, err)
	c := &captor{t: t, key: key}
	c.stolen = c.dial(natsconn.Config{InProcess: server, Credentials: stolen, Log: log})
	check(t, c.stolen.EnsureStreams(t.Context(), 1))
	c.agent = c.dial(natsconn.Config{URL: server.ClientURL(), CA: identity.CA(), Credentials: credentials, InboxPrefix: wire.InboxPrefix("eu-1"), Log: log})
	cache, err := fetch.NewCache(t.TempDir())
	check(t, err)
	c.fetcher = fetch.New("eu-1", c.obeyed(), c.agent, cache, wire.Announcement{})
	c.shop = c.app("shop", settings)
	c.running = announcement(5, 10, c.index("eu-1", c.shop))
	_, err = c.fetcher.Accept(t.Context(), c.seal(c.running))
	check(t, err)
	return c
}

// obeyed opens announcements as an agent does that pins the hub's key.
func (c *captor) obeyed() fetch.Opener {
	trust := wire.NewTrust(c.key.Public().(ed25519.PublicKey))
	return func(_ context.Context, sealed []byte, cluster fleet.ClusterName) (wire.Announcement, error) {
		a, _, err := trust.Announcement(sealed, cluster)
		return a, err
	}
}

const settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\n"

func (c *captor) dial(config natsconn.Config) *natsconn.Conn {
	c.t.Helper()
	conn, err := natsconn.Dial(config)
	check(c.t, err)
	c.t.Cleanup(conn.Close)
	check(c.t, conn.WaitConnected(c.t.Context()))
	return conn
}

// put keeps content as the hub does.
func (c *captor) put(content []byte) fleet.Digest {
	c.t.Helper()
	digest, chunks, err := wire.PackArtifact(content)
	check(c.t, err)
	check(c.t, c.stolen.PutArtifact(c.t.Context(), wire.AddressOf(digest), chunks))
	return digest
}

func (c *captor) app(name fleet.AppName, manifest string) fleet.DesiredApp {
	c.t.Helper()
	repo := fstest.MapFS{"app/a.yaml": {Data: []byte(manifest)}}
	app := fleet.App{Name: name, Source: fleet.Source{Path: "app/a.yaml"}}
	source, err := overlays.Gather(repo, app)
	check(c.t, err)
	rendered, _, err := overlays.Render(repo, app, source, overlays.Difference{})
	check(c.t, err)
	return fleet.DesiredApp{Name: name, Base: c.put(source.Files.Pack()), Overlay: c.put(rendered.Files.Pack())}
}

func (c *captor) index(cluster fleet.ClusterName, apps ...fleet.DesiredApp) fleet.Digest {
	c.t.Helper()
	content, _, err := wire.EncodeIndex(wire.Index{Version: wire.Version, Cluster: cluster, Desired: fleet.Desired{Apps: apps}})
	check(c.t, err)
	return c.put(content)
}

func announcement(epoch, sequence uint64, index fleet.Digest) wire.Announcement {
	return wire.Announcement{Version: wire.Version, Cluster: "eu-1", Epoch: epoch, Sequence: sequence, Revision: "main@sha1:1", Index: index}
}

// seal is what the hub does and the captor cannot.
func (c *captor) seal(a wire.Announcement) []byte {
	c.t.Helper()
	sealed, err := wire.Seal(a, c.key)
	check(c.t, err)
	return sealed
}

// stands fails unless the agent runs what it ran, and can still build it.
func (c *captor) stands(t *testing.T) {
	t.Helper()
	if accepted, _ := c.fetcher.Accepted(); accepted != c.running {
		t.Errorf("the agent has accepted %+v", accepted)
	}
	if built, err := c.fetcher.Build(c.shop); err != nil || len(built) != 1 {
		t.Errorf("what it runs builds %d objects: %v", len(built), err)
	}
}

// forge packs content as the hub packs what has a digest, so that it opens with that
// digest and is something else. It is written from the description of the format, and not
// with the hub's own code.
func forge(t *testing.T, d fleet.Digest, size uint32, count uint16, chunks ...[]byte) [][]byte {
	t.Helper()
	keys, err := hkdf.Key(sha256.New, []byte(d), nil, "navarch artifact keys v2", 64)
	check(t, err)
	block, err := aes.NewCipher(keys[:32])
	check(t, err)
	aead, err := cipher.NewGCM(block)
	check(t, err)
	sealed := make([][]byte, len(chunks))
	for i, plain := range chunks {
		if i == 0 {
			header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16([]byte{2}, count), size)
			plain = append(header, plain...)
		}
		position := binary.BigEndian.AppendUint16(nil, uint16(i))
		mac := hmac.New(sha256.New, keys[32:])
		mac.Write(position)
		mac.Write(plain)
		nonce := mac.Sum(nil)[:aead.NonceSize()]
		sealed[i] = aead.Seal(append([]byte{}, nonce...), nonce, plain, position)
	}
	return sealed
}

func compress(t *testing.T, content []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	check(t, err)
	return w.EncodeAll(content, nil)
}
