package enrol

import (
	"context"
	"fmt"

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
		if _, err := nkeys.FromSeed(secret.Data["seed"]); err != nil {
			return key{}, fmt.Errorf("read the agent's key in Secret %q: %w (delete the Secret to join anew)", SecretName, err)
		}
		return key{Cluster: cluster, Seed: secret.Data["seed"], JWT: string(secret.Data["jwt"])}, nil
	}
	pair, err := nkeys.CreateUser()
	if err != nil {
		return key{}, fmt.Errorf("make the agent's key: %w", err)
	}
	seed, err := pair.Seed()
	if err != nil {
		return key{}, fmt.Errorf("make the agent's key: %w", err)
	}
	k := key{Cluster: cluster, Seed: seed}
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

func (k key) data() map[string][]byte {
	return map[string][]byte{"cluster": []byte(k.Cluster), "seed": k.Seed, "jwt": []byte(k.JWT)}
}
