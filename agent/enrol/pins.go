package enrol

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	clientcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// PinsName is the ConfigMap with what the agent has learned of the hub's keys since it
// was installed. What it holds proves itself by the key in the install manifest: who
// writes to it can make the agent forget, and no more.
const PinsName = "navarch-hub-keys"

// keepTimeout is how long to wait for the API server to keep what was learned.
const keepTimeout = 10 * time.Second

// Pins is whom the agent obeys. It is for any number of goroutines.
type Pins struct {
	maps     clientcorev1.ConfigMapInterface
	manifest []byte // certificates of the install manifest; empty: the system's
	log      *slog.Logger

	mu    sync.Mutex
	trust wire.Trust
	kept  bool // all of trust is in the ConfigMap
}

// OpenPins reads what was learned before. Of c it needs HubKey, CA, REST, Namespace and
// Log.
func OpenPins(ctx context.Context, c Config) (*Pins, error) {
	clients, err := kubernetes.NewForConfig(c.REST)
	if err != nil {
		return nil, fmt.Errorf("read the hub's keys: %w", err)
	}
	p := &Pins{maps: clients.CoreV1().ConfigMaps(c.Namespace), manifest: c.CA, log: c.Log, trust: wire.NewTrust(c.HubKey), kept: true}
	configMap, err := p.maps.Get(ctx, PinsName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the hub's keys: %w", err)
	}
	if p.trust, err = readTrust(c.HubKey, configMap.Data["succession"]); err != nil {
		p.trust = wire.NewTrust(c.HubKey)
		c.Log.Warn("what was learned of the hub's keys is of no use: the install manifest counts", "configmap", PinsName, "err", err)
	}
	return p, nil
}

// readTrust reads what the ConfigMap holds, which has to go on from the key in the
// install manifest.
func readTrust(manifest ed25519.PublicKey, succession string) (wire.Trust, error) {
	var followed wire.Succession
	if err := json.Unmarshal([]byte(succession), &followed); err != nil {
		return wire.Trust{}, err
	}
	return wire.Recall(manifest, followed)
}

// Announcement opens an announcement, as [wire.Trust.Announcement] says, and keeps what
// it teaches of the hub's keys before it returns: from then on the key of before is
// refused, after the next start too.
func (p *Pins) Announcement(ctx context.Context, sealed []byte, cluster fleet.ClusterName) (wire.Announcement, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, after, err := p.trust.Announcement(sealed, cluster)
	if err == nil {
		p.learn(ctx, after)
	}
	return a, err
}

// answer opens the answer to a request, and learns as Announcement does.
func (p *Pins) answer(ctx context.Context, sealed []byte, r wire.EnrolRequest) (wire.EnrolAnswer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, after, err := p.trust.Answer(sealed, r)
	if err == nil {
		p.learn(ctx, after)
	}
	return a, err
}

// learn takes over another trust. Where it cannot be kept, it counts until the agent
// ends, is kept with the next message, and is learned again after a start: the hub
// tells the whole of it with every announcement. The caller holds the lock.
func (p *Pins) learn(ctx context.Context, after wire.Trust) {
	if !after.Same(p.trust) {
		p.log.Info("the hub's keys were exchanged, and the ones before vouch for it", "key", wire.KeyID(after.Key()))
		p.trust, p.kept = after, false
	}
	if p.kept {
		return
	}
	if err := p.keep(ctx); err != nil {
		p.log.Warn("cannot keep the hub's keys: they are learned again after the next start", "err", err)
		return
	}
	p.kept = true
}

func (p *Pins) keep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, keepTimeout)
	defer cancel()
	content, err := json.Marshal(p.trust.Followed())
	if err != nil {
		return err
	}
	configMap := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: PinsName, Labels: map[string]string{
			"app.kubernetes.io/managed-by": "navarch", "app.kubernetes.io/part-of": "navarch",
		}},
		Data: map[string]string{"succession": string(content)},
	}
	_, err = p.maps.Update(ctx, configMap, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		_, err = p.maps.Create(ctx, configMap, metav1.CreateOptions{})
	}
	return err
}

// CA returns, as PEM, which authorities the hub's server may come from now.
func (p *Pins) CA() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trust.Authorities(p.manifest)
}

// Key returns the key that is obeyed.
func (p *Pins) Key() ed25519.PublicKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trust.Key()
}

// Told returns what the hub is told of it.
func (p *Pins) Told() wire.Pins {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trust.Pins(p.manifest)
}
