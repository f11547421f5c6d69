package apply

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/navarch/navarch/fleet"
)

const (
	// announcedName is the Secret with the announcement, and shelfPrefix begins the names
	// of those with content.
	announcedName = "navarch-announced"
	shelfPrefix   = "navarch-content-"
	shelfLabel    = "navarch.dev/content"
	// shelfSize is how much content goes into one Secret, so that a small change writes
	// little. Larger content has a Secret of its own.
	shelfSize = 128 << 10
	// shelfMost is the largest content that an API server takes.
	shelfMost = 1 << 20
)

// Shelf keeps what the agent needs to go on alone, in Secrets of its own namespace:
// the last accepted announcement and the content that it names. An agent that starts
// while the hub is away reads it from there. It is for one goroutine at a time.
type Shelf struct {
	secrets corev1client.SecretInterface

	mu        sync.Mutex
	kept      map[string]*corev1.Secret // with content, by name
	announced *corev1.Secret            // nil where there is none
	before    map[fleet.Digest]bool     // named by the announcement before; empty after a start
}

// OpenShelf reads what is kept in a namespace.
func OpenShelf(ctx context.Context, config *rest.Config, namespace string) (*Shelf, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	config.ContentType = "application/vnd.kubernetes.protobuf"
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	s := &Shelf{secrets: clients.CoreV1().Secrets(namespace), kept: map[string]*corev1.Secret{}}
	list, err := s.secrets.List(ctx, metav1.ListOptions{LabelSelector: shelfLabel})
	if err != nil {
		return nil, fmt.Errorf("read the kept content in namespace %q: %w", namespace, err)
	}
	for i := range list.Items {
		secret := &list.Items[i]
		switch {
		case secret.Name == announcedName:
			s.announced = secret
		case strings.HasPrefix(secret.Name, shelfPrefix):
			s.kept[secret.Name] = secret
		}
	}
	return s, nil
}

// Announcement returns the sealed announcement that is kept, nil where none is.
func (s *Shelf) Announcement() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.announced == nil {
		return nil
	}
	return s.announced.Data["announcement"]
}

// Contents returns what is kept, compressed, by digest. Nobody has verified it.
func (s *Shelf) Contents() map[fleet.Digest][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	contents := map[fleet.Digest][]byte{}
	for _, secret := range s.kept {
		for key, content := range secret.Data {
			contents[fleet.Digest("sha256:"+key)] = content
		}
	}
	return contents
}

// Store keeps an announcement and the content that it names. Content of the
// announcement before is kept as long, so that whenever the agent ends, what is
// there is whole. What is kept already is not written again, however often it comes.
// Content that is too large is left out, and its digests returned.
func (s *Shelf) Store(ctx context.Context, sealed []byte, contents map[fleet.Digest][]byte) (tooLarge []fleet.Digest, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, digest := range slices.Sorted(maps.Keys(contents)) {
		if size := len(contents[digest]); size > shelfMost-shelfSize {
			tooLarge = append(tooLarge, digest)
		}
	}
	if !s.settled(contents) {
		for name, data := range s.arranged(contents) {
			if err := s.write(ctx, name, data); err != nil {
				return tooLarge, err
			}
		}
	}
	if s.announced == nil || string(s.announced.Data["announcement"]) != string(sealed) {
		written, err := s.put(ctx, announcedName, map[string][]byte{"announcement": sealed})
		if err != nil {
			return tooLarge, err
		}
		s.announced = written
	}
	s.before = make(map[fleet.Digest]bool, len(contents))
	for digest := range contents {
		s.before[digest] = true
	}
	return tooLarge, nil
}

// settled tells whether the content is that of the announcement before, as far as this
// agent knows of one, and all of it is kept that is not too large.
func (s *Shelf) settled(contents map[fleet.Digest][]byte) bool {
	for digest := range s.before {
		if _, named := contents[digest]; !named {
			return false
		}
	}
	missing := maps.Clone(contents)
	for _, secret := range s.kept {
		for key := range secret.Data {
			delete(missing, fleet.Digest("sha256:"+key))
		}
	}
	for _, content := range missing {
		if len(content) <= shelfMost-shelfSize {
			return false
		}
	}
	return true
}

// arranged returns what each Secret should hold. Content stays where it is.
func (s *Shelf) arranged(contents map[fleet.Digest][]byte) map[string]map[string][]byte {
	next := map[string]map[string][]byte{}
	sizes := map[string]int{}
	placed := map[fleet.Digest]bool{}
	for name, secret := range s.kept {
		next[name] = map[string][]byte{}
		for key, content := range secret.Data {
			digest := fleet.Digest("sha256:" + key)
			if _, wanted := contents[digest]; (wanted || s.before[digest]) && !placed[digest] {
				next[name][key] = content
				sizes[name] += len(content)
				placed[digest] = true
			}
		}
	}
	number := 0
	for _, digest := range slices.Sorted(maps.Keys(contents)) {
		content := contents[digest]
		if placed[digest] || len(content) > shelfMost-shelfSize {
			continue
		}
		name := shelfPrefix + strconv.Itoa(number)
		for sizes[name] > 0 && sizes[name]+len(content) > shelfSize {
			number++
			name = shelfPrefix + strconv.Itoa(number)
		}
		if next[name] == nil {
			next[name] = map[string][]byte{}
		}
		next[name][digest.Hex()] = content
		sizes[name] += len(content)
	}
	return next
}

// write makes one Secret hold exactly data; without data there is none.
func (s *Shelf) write(ctx context.Context, name string, data map[string][]byte) error {
	kept := s.kept[name]
	switch {
	case len(data) == 0 && kept == nil, kept != nil && sameKeys(kept.Data, data):
		return nil
	case len(data) == 0:
		if err := s.secrets.Delete(ctx, name, metav1.DeleteOptions{}); ignoreAbsent(err) != nil {
			return fmt.Errorf("keep content: delete Secret %q: %w", name, err)
		}
		delete(s.kept, name)
		return nil
	}
	written, err := s.put(ctx, name, data)
	if err != nil {
		return err
	}
	s.kept[name] = written
	return nil
}

// sameKeys compares content by its digests.
func sameKeys(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for key := range a {
		if _, ok := b[key]; !ok {
			return false
		}
	}
	return true
}

// put creates or updates a Secret. One that somebody else has changed is replaced:
// nothing but this agent has a say in it.
func (s *Shelf) put(ctx context.Context, name string, data map[string][]byte) (*corev1.Secret, error) {
	next := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{shelfLabel: "", "app.kubernetes.io/managed-by": "navarch"}},
		Type:       "navarch.dev/content",
		Data:       data,
	}
	written, err := s.secrets.Update(ctx, next, metav1.UpdateOptions{FieldManager: FieldManager})
	if apierrors.IsNotFound(err) {
		written, err = s.secrets.Create(ctx, next, metav1.CreateOptions{FieldManager: FieldManager})
	}
	if err != nil {
		return nil, fmt.Errorf("keep content: write Secret %q: %w", name, err)
	}
	return written, nil
}
