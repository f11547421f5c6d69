//go:build linux

package agent_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/navarch/navarch/wire"
)

// TestDiskFull: an agent whose cache folder is on a disk without room deploys all the
// same, and goes on alone afterwards from what it keeps in the cluster.
func TestDiskFull(t *testing.T) {
	b := newBed(t)
	if err := syscall.Mount("tmpfs", b.cache, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("needs the right to mount a small disk: %v", err)
	}
	t.Cleanup(func() { check(t, syscall.Unmount(b.cache, syscall.MNT_DETACH)) })
	stop := b.agent()
	noise := make([]byte, 200<<10) // which nothing makes smaller
	_, err := rand.Read(noise)
	check(t, err)
	shop := b.app("shop", configMap("a", "one")+configMap("large", base64.StdEncoding.EncodeToString(noise)))
	b.announce(shop)
	b.ready(shop)
	two := b.app("shop", configMap("a", "two")+configMap("large", base64.StdEncoding.EncodeToString(noise)))
	b.announce(two)
	b.ready(two)
	b.until("the announcement to be kept in the cluster", func() bool {
		var secret corev1.Secret
		if err := b.Client.Get(t.Context(), client.ObjectKey{Namespace: b.namespace, Name: "navarch-announced"}, &secret); err != nil {
			return false
		}
		kept, err := wire.Open(secret.Data["announcement"], b.identity.SigningKey().Public().(ed25519.PublicKey), "eu-1")
		return err == nil && kept.Sequence == b.sequence
	})
	stop()

	b.broker.Shutdown()
	b.agent()
	check(t, b.Client.Delete(t.Context(), b.get("a")))
	b.until("a repair by an agent that is alone", func() bool { return b.word("a") == "two" })
}
