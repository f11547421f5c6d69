package sops

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"

	"filippo.io/age"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	clientcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

const (
	// OwnKey is the Secret with the key that the agent makes for its cluster.
	OwnKey = "navarch-age-key"
	// MoreKeys is a Secret that people may make: age identities under names that end in
	// .agekey, and credentials of key services under the names of their variables.
	MoreKeys = "navarch-sops"
)

const (
	identityEntry = "identity" // of OwnKey
	agekeySuffix  = ".agekey"  // of MoreKeys' entries
)

// Keys are those of the cluster. They are read when something is to be opened, and not
// kept. They are for any number of goroutines.
type Keys struct {
	secrets   clientcorev1.SecretInterface
	recipient atomic.Pointer[string]
}

// NewKeys returns the keys of the cluster in a namespace.
func NewKeys(config *rest.Config, namespace string) (*Keys, error) {
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("prepare the keys of the cluster: %w", err)
	}
	k := &Keys{secrets: clients.CoreV1().Secrets(namespace)}
	k.recipient.Store(new(string))
	return k, nil
}

// Recipient is the public half of the cluster's own key, which people encrypt for; empty
// before [Keys.Open].
func (k *Keys) Recipient() string { return *k.recipient.Load() }

// Open reads the cluster's own key, and makes one where there is none. It returns a key
// made of it, for telling by a hash whether something secret has changed.
func (k *Keys) Open(ctx context.Context) (digest []byte, err error) {
	identity, err := k.own(ctx)
	if err != nil {
		return nil, err
	}
	derived := hmac.New(sha256.New, []byte(identity.String()))
	derived.Write([]byte("navarch: what was applied"))
	return derived.Sum(nil), nil
}

// own reads the cluster's own key, and makes one where there is none.
func (k *Keys) own(ctx context.Context) (*age.X25519Identity, error) {
	secret, err := k.secrets.Get(ctx, OwnKey, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		if secret, err = k.make(ctx); apierrors.IsAlreadyExists(err) { // by an agent that stood by until now
			secret, err = k.secrets.Get(ctx, OwnKey, metav1.GetOptions{})
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the cluster's age key: %w", err)
	}
	identity, err := age.ParseX25519Identity(strings.TrimSpace(string(secret.Data[identityEntry])))
	if err != nil { // whose words could repeat a part of the key
		return nil, fmt.Errorf("%w: Secret %q holds no identity of age (restore it, or delete it to have another made, and encrypt for that)", ErrSealed, OwnKey)
	}
	recipient := identity.Recipient().String()
	k.recipient.Store(&recipient)
	return identity, nil
}

func (k *Keys) make(ctx context.Context) (*corev1.Secret, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	return k.secrets.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: OwnKey, Labels: map[string]string{
			"app.kubernetes.io/managed-by": "navarch", "app.kubernetes.io/part-of": "navarch",
		}},
		Data: map[string][]byte{identityEntry: []byte(identity.String()), "recipient": []byte(identity.Recipient().String())},
	}, metav1.CreateOptions{})
}

var variable = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// read returns all keys and credentials of the cluster, into a request.
func (k *Keys) read(ctx context.Context) (request, error) {
	own, err := k.own(ctx)
	if err != nil {
		return request{}, err
	}
	r := request{Identities: map[string]string{OwnKey: own.String()}, Environment: map[string]string{}}
	more, err := k.secrets.Get(ctx, MoreKeys, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return r, nil
	}
	if err != nil {
		return request{}, fmt.Errorf("read the keys in Secret %q: %w", MoreKeys, err)
	}
	for name, value := range more.Data {
		switch {
		case strings.HasSuffix(name, agekeySuffix):
			r.Identities[name] = string(value)
		case variable.MatchString(name):
			r.Environment[name] = strings.TrimSpace(string(value))
		}
	}
	return r, nil
}
