package enrol

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nkeys"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	clientcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/navarch/navarch/fleet"
)

// SecretName is the Secret with the agent's key. Without it the cluster has to join
// anew.
const SecretName = "navarch-agent-key" //nolint:gosec // it names a secret and is none

// key is the agent's key and what the hub signed for it, as the Secret holds them.
type key struct {
	Cluster fleet.ClusterName
	Seed    []byte
	JWT     string // empty: not admitted yet
	Made    time.Time
	Next    []byte // seed of the key that is to take its place, and that the hub may not know yet; nil: none is
	Former  []byte // seed of the key before, until the hub has heard from this one; nil: it has
}

// keep is the Secret.
type keep struct {
	secrets clientcorev1.SecretInterface
}

func newKeep(config *rest.Config, namespace string) (keep, error) {
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return keep{}, fmt.Errorf("keep the agent's key: %w", err)
	}
	return keep{clients.CoreV1().Secrets(namespace)}, nil
}

// open returns the key of a cluster. Where there is none, or one of another name, it
// makes one.
func (s keep) open(ctx context.Context, cluster fleet.ClusterName) (key, error) {
	secret, err := s.secrets.Get(ctx, SecretName, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return key{}, fmt.Errorf("read the agent's key: %w", err)
	}
	found := err == nil
	if found && string(secret.Data["cluster"]) == string(cluster) {
		return readKey(secret)
	}
	seed, err := newSeed()
	if err != nil {
		return key{}, err
	}
	k := key{Cluster: cluster, Seed: seed, Made: time.Now()}
	if found {
		return k, s.write(ctx, k)
	}
	_, err = s.secrets.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: SecretName, Labels: map[string]string{
			"app.kubernetes.io/managed-by": "navarch", "app.kubernetes.io/part-of": "navarch",
		}},
		Data: k.data(),
	}, metav1.CreateOptions{})
	if err != nil {
		return key{}, fmt.Errorf("keep the agent's key: %w", err)
	}
	return k, nil
}

// write replaces the content of the Secret, which is there.
func (s keep) write(ctx context.Context, k key) error {
	secret, err := s.secrets.Get(ctx, SecretName, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("keep the agent's key: %w", err)
	}
	secret.Data = k.data()
	if _, err := s.secrets.Update(ctx, secret, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("keep the agent's key: %w", err)
	}
	return nil
}

func newSeed() ([]byte, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("make the agent's key: %w", err)
	}
	seed, err := pair.Seed()
	if err != nil {
		return nil, fmt.Errorf("make the agent's key: %w", err)
	}
	return seed, nil
}

// readKey reads the content of the Secret. What is in there of no use, but for the seed,
// is left out: it is made again.
func readKey(secret *corev1.Secret) (key, error) {
	if err := checkSeed(secret.Data["seed"]); err != nil {
		return key{}, fmt.Errorf("read the agent's key in Secret %q: %w (delete the Secret to join anew)", SecretName, err)
	}
	k := key{
		Cluster: fleet.ClusterName(secret.Data["cluster"]), Seed: secret.Data["seed"], JWT: string(secret.Data["jwt"]),
		Made: secret.CreationTimestamp.Time, Next: secret.Data["next"], Former: secret.Data["former"],
	}
	if made, err := time.Parse(time.RFC3339, string(secret.Data["made"])); err == nil {
		k.Made = made
	}
	if err := checkSeed(k.Next); err != nil {
		k.Next = nil
	}
	if err := checkSeed(k.Former); err != nil {
		k.Former = nil
	}
	return k, nil
}

// checkSeed refuses what is not the seed of a user of NATS.
func checkSeed(seed []byte) error {
	prefix, _, err := nkeys.DecodeSeed(seed)
	if err == nil && prefix != nkeys.PrefixByteUser {
		err = fmt.Errorf("it is that of an %v: want a user", prefix)
	}
	if err != nil {
		return err
	}
	_, err = nkeys.FromSeed(seed)
	return err
}

func (k key) data() map[string][]byte {
	data := map[string][]byte{
		"cluster": []byte(k.Cluster), "seed": k.Seed, "jwt": []byte(k.JWT), "made": []byte(k.Made.UTC().Format(time.RFC3339)),
	}
	if k.Next != nil {
		data["next"] = k.Next
	}
	if k.Former != nil {
		data["former"] = k.Former
	}
	return data
}
