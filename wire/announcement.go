package wire

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/navarch/navarch/fleet"
)

// Version is the version of the protocol that this build speaks.
//
//   - 1 (2026-11): announcements, indexes, reports and heartbeats.
//   - 1 (2026-11): successions, with announcements and enrolments; pins, in heartbeats.
const Version = 1

// Announcement tells one cluster what it should run from now on. The hub keeps
// the last one on the cluster's subject.
type Announcement struct {
	Version int               `json:"version"`
	Cluster fleet.ClusterName `json:"cluster"`
	// Epoch and Sequence order announcements: Sequence counts up within an epoch, and
	// a hub that lost its data begins a higher epoch.
	Epoch    uint64       `json:"epoch"`
	Sequence uint64       `json:"sequence"`
	Revision string       `json:"revision"` // the commit, as in "main@sha1:4f0c…"
	Index    fleet.Digest `json:"index"`
}

// After tells whether a is newer than the announcement with the given epoch and sequence.
func (a Announcement) After(epoch, sequence uint64) bool {
	return a.Epoch > epoch || a.Epoch == epoch && a.Sequence > sequence
}

// Index is what one cluster should run. Its digest is that of its JSON form.
type Index struct {
	Version int               `json:"version"`
	Cluster fleet.ClusterName `json:"cluster"`
	fleet.Desired
}

// envelope is how an announcement travels: the signed bytes exactly as signed.
type envelope struct {
	Signed    []byte `json:"signed"`    // the JSON of the announcement
	Signature []byte `json:"signature"` // ed25519 over signingContext and Signed
	// Succession, set by a hub whose keys were exchanged, leads to the key that signed.
	// Absent: none ever was.
	Succession *Succession `json:"succession,omitempty"`
}

// by tells whether a key has signed.
func (e envelope) by(key ed25519.PublicKey, context string) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, append([]byte(context), e.Signed...), e.Signature)
}

// seal signs body.
func seal(body []byte, context string, key ed25519.PrivateKey, past *Succession) ([]byte, error) {
	return json.Marshal(envelope{Signed: body, Signature: ed25519.Sign(key, append([]byte(context), body...)), Succession: past})
}

// signingContext keeps a signature made here from meaning anything elsewhere.
const signingContext = "navarch announcement v1\x00"

// ErrSignature means that an announcement was not signed by the hub's key.
var ErrSignature = errors.New("the announcement is not signed by the hub's key")

// Seal signs a and returns its form on the wire.
func Seal(a Announcement, key ed25519.PrivateKey) ([]byte, error) { return SealAfter(a, key, nil) }

// SealAfter is [Seal] with a key that is not the first of its hub: past, which may be
// nil, leads to it.
func SealAfter(a Announcement, key ed25519.PrivateKey, past *Succession) ([]byte, error) {
	signed, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("encode announcement for cluster %q: %w", a.Cluster, err)
	}
	return seal(signed, signingContext, key, past)
}

// Open verifies a sealed announcement for a cluster. It returns [ErrSignature]
// when key did not sign it, and another error when it is not for this cluster or
// speaks a version that this build does not know.
func Open(sealed []byte, key ed25519.PublicKey, cluster fleet.ClusterName) (Announcement, error) {
	var e envelope
	if err := json.Unmarshal(sealed, &e); err != nil {
		return Announcement{}, fmt.Errorf("decode announcement: %w", err)
	}
	return openAnnouncement(e, key, cluster)
}

func openAnnouncement(e envelope, key ed25519.PublicKey, cluster fleet.ClusterName) (Announcement, error) {
	if !e.by(key, signingContext) {
		return Announcement{}, ErrSignature
	}
	var a Announcement
	if err := json.Unmarshal(e.Signed, &a); err != nil {
		return Announcement{}, fmt.Errorf("decode announcement: %w", err)
	}
	if a.Version != Version {
		return Announcement{}, fmt.Errorf("announcement has version %d, this agent knows %d: update the agent", a.Version, Version)
	}
	if a.Cluster != cluster {
		return Announcement{}, fmt.Errorf("announcement is for cluster %q, this is %q", a.Cluster, cluster)
	}
	if _, err := fleet.ParseDigest(string(a.Index)); err != nil {
		return Announcement{}, fmt.Errorf("announcement for cluster %q: index: %w", cluster, err)
	}
	return a, nil
}

// EncodeIndex returns the bytes of an index and the digest that names them. Equal
// indexes have equal bytes.
func EncodeIndex(index Index) ([]byte, fleet.Digest, error) {
	content, err := json.Marshal(index)
	if err != nil {
		return nil, "", fmt.Errorf("encode index of cluster %q: %w", index.Cluster, err)
	}
	return content, fleet.DigestOf(content), nil
}

// DecodeIndex reads an index and checks that it is for cluster and that every
// name and digest in it is legal. The caller has checked the digest of content.
func DecodeIndex(content []byte, cluster fleet.ClusterName) (Index, error) {
	var index Index
	if err := json.Unmarshal(content, &index); err != nil {
		return Index{}, fmt.Errorf("decode index: %w", err)
	}
	if index.Version != Version {
		return Index{}, fmt.Errorf("index has version %d, this agent knows %d: update the agent", index.Version, Version)
	}
	if index.Cluster != cluster {
		return Index{}, fmt.Errorf("index is for cluster %q, this is %q", index.Cluster, cluster)
	}
	seen := map[fleet.AppName]bool{}
	for _, app := range index.Apps {
		if err := checkApp(app); err != nil {
			return Index{}, fmt.Errorf("index of cluster %q: %w", cluster, err)
		}
		if seen[app.Name] {
			return Index{}, fmt.Errorf("index of cluster %q names app %q twice", cluster, app.Name)
		}
		seen[app.Name] = true
	}
	for _, t := range index.Tombstones {
		if _, err := fleet.ParseAppName(string(t.App)); err != nil {
			return Index{}, fmt.Errorf("index of cluster %q: tombstone: %w", cluster, err)
		}
		if seen[t.App] {
			return Index{}, fmt.Errorf("index of cluster %q both names and removes app %q", cluster, t.App)
		}
	}
	return index, nil
}

func checkApp(app fleet.DesiredApp) error {
	if _, err := fleet.ParseAppName(string(app.Name)); err != nil {
		return err
	}
	for _, d := range []fleet.Digest{app.Overlay, app.Base} {
		if _, err := fleet.ParseDigest(string(d)); err != nil {
			return fmt.Errorf("app %q: %w", app.Name, err)
		}
	}
	return nil
}
