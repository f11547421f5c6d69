package main

// request is what the agent asks.
type request struct {
	// Identities are age's by the names that people gave them, as age-keygen writes them:
	// one a line.
	Identities map[string]string `json:"identities,omitempty"`
	// Environment holds the credentials of key services, by the names that SOPS's own
	// command reads from its environment. Names that are not in [environment] are refused.
	Environment map[string]string `json:"environment,omitempty"`
	Documents   []document        `json:"documents"`
}

// document is one that SOPS has encrypted.
type document struct {
	// Format is json, yaml, dotenv, ini or binary, as SOPS names them. The document is
	// written in it, and made plain in it; binary is written as JSON.
	Format  string `json:"format"`
	Content []byte `json:"content"`
	// Edited: the document is not as SOPS has written it, so that its message
	// authentication code cannot be right. Every value is still authenticated, with its
	// path.
	Edited bool `json:"edited,omitempty"`
}

// answer has one result for each document of the request, in order, or none.
type answer struct {
	Documents []result `json:"documents,omitempty"`
	// Problem says what is wrong with the keys, by their names; then nothing is decrypted.
	Problem string `json:"problem,omitempty"`
}

// result is a plain document, or why there is none.
type result struct {
	Content []byte  `json:"content,omitempty"`
	Refusal refusal `json:"refusal,omitempty"` // empty: it was decrypted
	// At is the path of the value that could not be decrypted, as in "data.password".
	At string `json:"at,omitempty"`
	// Keys name what the document is encrypted for.
	Keys []string `json:"keys,omitempty"`
	// Said is what a key service said, without credentials.
	Said string `json:"said,omitempty"`
}

// refusal says in one word why a document was not decrypted.
type refusal string

const (
	malformed   refusal = "malformed"   // it is not what SOPS writes
	noKey       refusal = "no-key"      // none of the keys is among those that it is encrypted for
	unavailable refusal = "unavailable" // a key service that would have the key did not give it
	badValue    refusal = "value"       // At is not encrypted, or with another key, or it was moved
	badMAC      refusal = "mac"         // values were added, removed or changed without SOPS
)
