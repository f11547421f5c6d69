package apply

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/navarch/navarch/wire"
)

// acceptedName is the ConfigMap that remembers the last accepted announcement, so
// that an agent that starts anew cannot be told an older one.
const acceptedName = "navarch-accepted"

// Accepted returns the last announcement that was remembered; the zero value where
// there is none.
func (i *Inventory) Accepted(ctx context.Context) (wire.Announcement, error) {
	kept, err := i.maps.Get(ctx, acceptedName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return wire.Announcement{}, nil
	}
	if err != nil {
		return wire.Announcement{}, fmt.Errorf("read the accepted announcement: %w", err)
	}
	accepted, err := readAccepted(kept.Data)
	if err != nil {
		return wire.Announcement{}, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.accepted, i.acceptedMap.kept = accepted, kept
	return accepted, nil
}

func readAccepted(data map[string]string) (accepted wire.Announcement, err error) {
	if err := json.Unmarshal([]byte(data["announcement"]), &accepted); err != nil {
		return wire.Announcement{}, fmt.Errorf("read the accepted announcement in ConfigMap %q: %w (delete the ConfigMap to accept any)", acceptedName, err)
	}
	return accepted, nil
}

// Accept remembers an announcement. It is written with the next [Inventory.Flush].
func (i *Inventory) Accept(a wire.Announcement) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if a != i.accepted {
		i.accepted, i.acceptedDirty = a, true
	}
}

func (i *Inventory) writeAccepted(ctx context.Context, a wire.Announcement) error {
	content, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if err := i.acceptedMap.write(ctx, i.maps, acceptedName, map[string]string{"announcement": string(content)}); err != nil {
		return fmt.Errorf("write the accepted announcement: %w", err)
	}
	return nil
}
