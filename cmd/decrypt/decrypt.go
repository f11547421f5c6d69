package main

import (
	"errors"
	"io"
	"strings"
	"time"

	"github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/aes"
	"github.com/getsops/sops/v3/cmd/sops/common"
	"github.com/getsops/sops/v3/cmd/sops/formats"
	"github.com/getsops/sops/v3/config"
	"github.com/getsops/sops/v3/keyservice"
	"go.yaml.in/yaml/v3"
)

// decrypt makes one document plain. SOPS panics on some input: that is a malformed
// document like any other.
func (k *keys) decrypt(d document) (r result) {
	defer func() {
		if recover() != nil {
			r = result{Refusal: malformed}
		}
	}()
	format, known := map[string]formats.Format{
		"json": formats.Json, "yaml": formats.Yaml, "dotenv": formats.Dotenv, "ini": formats.Ini, "binary": formats.Binary,
	}[d.Format]
	if !known || format == formats.Yaml && aliased(d.Content) {
		return result{Refusal: malformed}
	}
	store := common.StoreForFormat(format, config.NewStoresConfig())
	tree, err := store.LoadEncryptedFile(d.Content)
	if err != nil {
		return result{Refusal: malformed}
	}
	asked := k.ask()
	key, err := tree.Metadata.GetDataKeyWithKeyServices([]keyservice.KeyServiceClient{asked}, []string{"age"})
	if err != nil {
		return asked.refused(tree.Metadata)
	}
	cipher := &pathed{cipher: aes.NewCipher()}
	mac, err := tree.Decrypt(key, cipher)
	if err != nil {
		return result{Refusal: badValue, At: cipher.failed}
	}
	if !d.Edited && !authentic(tree.Metadata, key, mac) {
		return result{Refusal: badMAC}
	}
	plain, err := store.EmitPlainFile(tree.Branches)
	if err != nil {
		return result{Refusal: malformed}
	}
	return result{Content: plain}
}

// authentic tells whether a document has the message authentication code that its
// values give.
func authentic(m sops.Metadata, key []byte, mac string) bool {
	said, err := aes.NewCipher().Decrypt(m.MessageAuthenticationCode, key, m.LastModified.Format(time.RFC3339))
	return err == nil && said == mac
}

// pathed is a cipher that remembers which value it could not decrypt. SOPS's own error
// repeats the value.
type pathed struct {
	cipher sops.Cipher
	failed string
}

func (p *pathed) Encrypt(plain any, key []byte, path string) (string, error) {
	return p.cipher.Encrypt(plain, key, path)
}

func (p *pathed) Decrypt(encrypted string, key []byte, path string) (any, error) {
	plain, err := p.cipher.Decrypt(encrypted, key, path)
	if err != nil && !strings.HasPrefix(path, "#") {
		p.failed = strings.ReplaceAll(strings.TrimSuffix(path, ":"), ":", ".")
	}
	return plain, err
}

// aliased tells whether a YAML document has aliases. SOPS writes none, and would follow
// them for ever, or until they fill the memory.
func aliased(content []byte) bool {
	decoder := yaml.NewDecoder(strings.NewReader(string(content)))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return false
		}
		if err != nil || hasAlias(&node) {
			return true // what cannot be read cannot be decrypted either
		}
	}
}

func hasAlias(n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode {
		return true
	}
	for _, child := range n.Content {
		if hasAlias(child) {
			return true
		}
	}
	return false
}
