package agent

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/agent/sops"
	"github.com/navarch/navarch/fleet"
)

// openKeys reads the cluster's own key, or makes it. An agent that may not do so goes on:
// only what is encrypted waits for somebody to grant it.
func (h *hands) openKeys(ctx context.Context, c Config) error {
	var err error
	if h.keys, err = sops.NewKeys(c.REST, c.Namespace); err != nil {
		return err
	}
	h.opener = sops.NewOpener(h.keys, c.Decrypter)
	digest, err := h.keys.Open(ctx)
	switch {
	case err == nil:
		h.client.KeyHashes(digest, sops.Sealed)
	case apierrors.IsForbidden(err) || errors.Is(err, sops.ErrSealed):
		c.Log.Warn("no age key: what is encrypted cannot be applied, and Secrets are written again at every start", "err", err)
		return nil
	}
	return err
}

// open makes plain those objects that are encrypted and not there already. It fails only
// with ctx; why an object cannot be opened is said in its place.
func (h *hands) open(ctx context.Context, built []*unstructured.Unstructured, there func(apply.Object) bool) (map[fleet.ObjectID]apply.Opened, error) {
	var sealed []*unstructured.Unstructured
	for _, b := range built {
		if !sops.Sealed(b) {
			continue
		}
		if o, err := h.client.Prepare(b); err == nil && there(o) {
			continue
		}
		sealed = append(sealed, b)
	}
	if len(sealed) == 0 {
		return nil, nil
	}
	opened := make(map[fleet.ObjectID]apply.Opened, len(sealed))
	for i, plain := range h.opener.Open(ctx, sealed) {
		opened[apply.IDOf(sealed[i])] = apply.Opened{Object: plain.Object, Err: plain.Err}
	}
	return opened, ctx.Err()
}
