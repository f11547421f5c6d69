package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/getsops/sops/v3"
	sopsage "github.com/getsops/sops/v3/age"
	"github.com/getsops/sops/v3/keyservice"
	"google.golang.org/grpc"
)

// keys are those that documents may be decrypted with.
type keys struct {
	identities sopsage.ParsedIdentities
	services   services
	secrets    []string // credentials, which are cut out of what a key service says
}

// openKeys reads the keys of a request.
func openKeys(r request) (*keys, error) {
	k := &keys{}
	for _, name := range slices.Sorted(maps.Keys(r.Identities)) {
		found, err := age.ParseIdentities(strings.NewReader(r.Identities[name]))
		if err != nil { // whose words could repeat a part of the key
			return nil, fmt.Errorf("%q holds no identity of age (keep what age-keygen wrote)", name)
		}
		k.identities = append(k.identities, found...)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Environment)) {
		value := r.Environment[name]
		if _, known := environment[name]; !known {
			return nil, fmt.Errorf("%q is no credential of a key service (age identities have names that end in .agekey)", name)
		}
		if err := os.Setenv(name, value); err != nil {
			return nil, fmt.Errorf("%q cannot be passed on (take NUL bytes out of it)", name)
		}
		if len(value) > 3 {
			k.secrets = append(k.secrets, value)
		}
	}
	k.services = servicesOf(os.Getenv)
	return k, nil
}

// ask returns what SOPS asks for the key of one document.
func (k *keys) ask() *asked { return &asked{keys: k} }

// asked is SOPS's way to keys: age's identities and the key services that the cluster has
// credentials for, and nothing else. Without it SOPS would look for keys in files, run
// programs, and go wherever a document says.
type asked struct {
	keys *keys
	said string // by a key service that would have the key
}

var errNotHere = errors.New("this cluster has no such key")

// Encrypt refuses: nothing is encrypted here.
func (a *asked) Encrypt(context.Context, *keyservice.EncryptRequest, ...grpc.CallOption) (*keyservice.EncryptResponse, error) {
	return nil, errNotHere
}

// Decrypt decrypts the key of a document with one of the keys that it names.
func (a *asked) Decrypt(ctx context.Context, r *keyservice.DecryptRequest, _ ...grpc.CallOption) (*keyservice.DecryptResponse, error) {
	if named := r.Key.GetAgeKey(); named != nil {
		if len(a.keys.identities) == 0 {
			return nil, errNotHere
		}
		key := &sopsage.MasterKey{Recipient: named.Recipient, EncryptedKey: string(r.Ciphertext)}
		a.keys.identities.ApplyToMasterKey(key)
		plain, err := key.Decrypt()
		if err != nil {
			return nil, errNotHere
		}
		return &keyservice.DecryptResponse{Plaintext: plain}, nil
	}
	if !a.keys.services.may(r.Key) {
		return nil, errNotHere
	}
	answer, err := keyservice.NewLocalClient().Decrypt(ctx, r)
	if err != nil && a.said == "" {
		a.said = a.keys.clean(err.Error())
	}
	return answer, err
}

// refused says why no key could be had for a document.
func (a *asked) refused(m sops.Metadata) result {
	r := result{Refusal: noKey}
	for _, group := range m.KeyGroups {
		for _, key := range group {
			if len(r.Keys) < mostKeys {
				r.Keys = append(r.Keys, cut(key.ToString(), mostSaid))
			}
		}
	}
	if a.said != "" {
		r.Refusal, r.Said = unavailable, a.said
	}
	return r
}

const (
	mostKeys = 10  // that are named
	mostSaid = 300 // bytes of what somebody else has said
)

// clean takes credentials out of a message, and everything after its beginning.
func (k *keys) clean(message string) string {
	for _, secret := range k.secrets {
		message = strings.ReplaceAll(message, secret, "(hidden)")
	}
	return cut(strings.Join(strings.Fields(message), " "), mostSaid)
}

func cut(text string, most int) string {
	text = strings.ToValidUTF8(text, "")
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
