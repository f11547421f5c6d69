package wire

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nkeys"

	"github.com/navarch/navarch/fleet"
)

// AllEnrol matches every cluster's [EnrolSubject].
const AllEnrol = "fleet.v1.enrol.*"

// EnrolSubject is where the agent of a cluster asks to be admitted, to be admitted
// longer, and to be admitted again. The hub answers; nothing is kept.
func EnrolSubject(c fleet.ClusterName) string { return "fleet.v1.enrol." + string(c) }

// ParseEnrolSubject is the inverse of [EnrolSubject].
func ParseEnrolSubject(subject string) (fleet.ClusterName, error) {
	return parseCluster(subject, "fleet.v1.enrol.", "an enrolment")
}

// DoorInboxPrefix is where the answers to a cluster's requests for enrolment go.
// It is no [InboxPrefix] of any cluster: no name has an underscore.
func DoorInboxPrefix(c fleet.ClusterName) string { return "_INBOX._door." + string(c) }

// AllowDoor returns the allow-list of the credential in an install manifest: to ask
// for the enrolment of one cluster, and to hear the answer.
func AllowDoor(c fleet.ClusterName) Allow {
	return Allow{Publish: []string{EnrolSubject(c)}, Subscribe: []string{DoorInboxPrefix(c) + ".>"}}
}

// EnrolRequest is an agent's request to be admitted as a cluster.
type EnrolRequest struct {
	Version int               `json:"version"`
	Cluster fleet.ClusterName `json:"cluster"`
	Key     string            `json:"key"`             // public nkey of the agent, which signs the request
	Nonce   string            `json:"nonce"`           // random; the answer repeats it
	Token   string            `json:"token,omitempty"` // its public form; absent: the key alone has to do
	JWT     string            `json:"jwt,omitempty"`   // the last that the agent was given, expired or not
	// Former is the public nkey that Key takes the place of, and which signs as well.
	// Absent: no key is exchanged.
	Former string `json:"former,omitempty"`
}

// EnrolAnswer is the hub's answer. Either JWT or Refusal is set.
type EnrolAnswer struct {
	Version int               `json:"version"`
	Cluster fleet.ClusterName `json:"cluster"`
	Nonce   string            `json:"nonce"`
	JWT     string            `json:"jwt,omitempty"`     // for the key of the request
	Refusal Refusal           `json:"refusal,omitempty"` // for programs
	Message string            `json:"message,omitempty"` // of a refusal, for people, with a hint
	// Exchange asks the agent for another key, which a person wants. Absent: nobody does.
	Exchange bool `json:"exchange,omitempty"`
}

// Refusal is why an agent is not admitted.
type Refusal string

// The refusals. An agent may ask again after any of them: a person can change it.
const (
	RefusedWaiting Refusal = "waiting" // for a person's approval
	RefusedRevoked Refusal = "revoked"
	RefusedUnknown Refusal = "unknown" // neither a member nor a token
	RefusedToken   Refusal = "token"   // expired, used or another cluster's
	RefusedKey     Refusal = "key"     // the cluster is a member with another key
	RefusedForm    Refusal = "form"    // the request is not what it should be
)

// The contexts separate signatures of requests and answers from all others.
const (
	requestContext = "navarch enrolment request v1\x00"
	answerContext  = "navarch enrolment answer v1\x00"
	maxEnrolment   = 16 << 10
)

// ErrProof is a request for enrolment that is not signed by the key that it names.
var ErrProof = errors.New("the request is not signed by the key that it names")

// signedRequest is a request with the proofs that its sender holds both secrets.
type signedRequest struct {
	Request []byte `json:"request"`
	Proof   []byte `json:"proof"`
	Token   []byte `json:"token,omitempty"`
	Former  []byte `json:"former,omitempty"`
}

// SealEnrolRequest signs a request with the key that it names and, where there is
// one, with the token.
func SealEnrolRequest(r EnrolRequest, key nkeys.KeyPair, token *Token) ([]byte, error) {
	if token != nil {
		r.Token = token.Public()
	}
	sealed, signed, err := signRequest(r, key)
	if err != nil {
		return nil, err
	}
	if token != nil && token.secret != nil {
		sealed.Token = ed25519.Sign(token.secret, signed)
	}
	return json.Marshal(sealed)
}

// SealEnrolExchange signs a request with the key that it names and with the key that
// this one is to take the place of.
func SealEnrolExchange(r EnrolRequest, key, former nkeys.KeyPair) ([]byte, error) {
	var err error
	if r.Former, err = former.PublicKey(); err != nil {
		return nil, fmt.Errorf("sign enrolment of cluster %q: %w", r.Cluster, err)
	}
	sealed, signed, err := signRequest(r, key)
	if err != nil {
		return nil, err
	}
	if sealed.Former, err = former.Sign(signed); err != nil {
		return nil, fmt.Errorf("sign enrolment of cluster %q: %w", r.Cluster, err)
	}
	return json.Marshal(sealed)
}

// signRequest returns a request with the proof of its key, and what further proofs sign.
func signRequest(r EnrolRequest, key nkeys.KeyPair) (sealed signedRequest, signed []byte, err error) {
	if sealed.Request, err = json.Marshal(r); err != nil { //nolint:gosec // the JWT is public: it is worth nothing without the key
		return sealed, nil, fmt.Errorf("encode enrolment of cluster %q: %w", r.Cluster, err)
	}
	signed = append([]byte(requestContext), sealed.Request...)
	if sealed.Proof, err = key.Sign(signed); err != nil {
		return sealed, nil, fmt.Errorf("sign enrolment of cluster %q: %w", r.Cluster, err)
	}
	return sealed, signed, nil
}

// OpenEnrolRequest verifies a request that came on the subject of a cluster: that
// it is about that cluster, and signed by the key that it names. The token, where
// the request has one, is signed by one of the hub's keys and held by the sender; the
// key that is exchanged, where one is, has signed as well. It returns [ErrProof] or
// [ErrToken] where that is not so.
func OpenEnrolRequest(sealed []byte, cluster fleet.ClusterName, hub ...ed25519.PublicKey) (EnrolRequest, *Token, error) {
	var s signedRequest
	var r EnrolRequest
	if len(sealed) > maxEnrolment {
		return r, nil, fmt.Errorf("decode enrolment: it is %d bytes, an enrolment has %d", len(sealed), maxEnrolment)
	}
	if err := json.Unmarshal(sealed, &s); err != nil {
		return r, nil, fmt.Errorf("decode enrolment: %w", err)
	}
	if err := json.Unmarshal(s.Request, &r); err != nil {
		return r, nil, fmt.Errorf("decode enrolment: %w", err)
	}
	if r.Version != Version {
		return r, nil, fmt.Errorf("enrolment has version %d, this hub knows %d: update the older of the two", r.Version, Version)
	}
	if r.Cluster != cluster {
		return r, nil, fmt.Errorf("enrolment is of cluster %q, its subject of cluster %q", r.Cluster, cluster)
	}
	signed := append([]byte(requestContext), s.Request...)
	if !signedBy(r.Key, signed, s.Proof) || r.Former != "" && !signedBy(r.Former, signed, s.Former) {
		return r, nil, ErrProof
	}
	if r.Token == "" {
		return r, nil, nil
	}
	token, err := ParseToken(r.Token, hub...)
	if err != nil {
		return r, nil, err
	}
	if !ed25519.Verify(token.public, signed, s.Token) {
		return r, nil, ErrToken
	}
	return r, &token, nil
}

// signedBy tells whether a public nkey of a user has signed.
func signedBy(public string, signed, proof []byte) bool {
	if !nkeys.IsValidPublicUserKey(public) {
		return false
	}
	key, err := nkeys.FromPublicKey(public)
	return err == nil && key.Verify(signed, proof) == nil
}

// SealEnrolAnswer signs an answer with the hub's key.
func SealEnrolAnswer(a EnrolAnswer, hub ed25519.PrivateKey) ([]byte, error) {
	return SealEnrolAnswerAfter(a, hub, nil)
}

// SealEnrolAnswerAfter is [SealEnrolAnswer] with a key that is not the first of its
// hub: past, which may be nil, leads to it.
func SealEnrolAnswerAfter(a EnrolAnswer, hub ed25519.PrivateKey, past *Succession) ([]byte, error) {
	body, err := json.Marshal(a) //nolint:gosec // the JWT is public: it is worth nothing without the key
	if err != nil {
		return nil, fmt.Errorf("encode the answer to cluster %q: %w", a.Cluster, err)
	}
	return seal(body, answerContext, hub, past)
}

// OpenEnrolAnswer verifies the answer to a request. It returns [ErrSignature] when
// hub did not sign it, and another error when it answers something else.
func OpenEnrolAnswer(sealed []byte, r EnrolRequest, hub ed25519.PublicKey) (EnrolAnswer, error) {
	var e envelope
	if err := json.Unmarshal(sealed, &e); err != nil {
		return EnrolAnswer{}, fmt.Errorf("decode the answer to an enrolment: %w", err)
	}
	return openAnswer(e, r, hub)
}

func openAnswer(e envelope, r EnrolRequest, hub ed25519.PublicKey) (EnrolAnswer, error) {
	var a EnrolAnswer
	if !e.by(hub, answerContext) {
		return a, ErrSignature
	}
	if err := json.Unmarshal(e.Signed, &a); err != nil {
		return a, fmt.Errorf("decode the answer to an enrolment: %w", err)
	}
	if a.Version != Version {
		return a, fmt.Errorf("the answer has version %d, this agent knows %d: update the agent", a.Version, Version)
	}
	if a.Cluster != r.Cluster || a.Nonce != r.Nonce || (a.JWT == "") == (a.Refusal == "") {
		return a, fmt.Errorf("the answer is to another request than that of cluster %q", r.Cluster)
	}
	return a, nil
}
