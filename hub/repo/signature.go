package repo

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// signatureHeaders lists the headers that hold an HMAC-SHA256 of the body in
// hexadecimal digits, with what is written before them.
var signatureHeaders = []struct{ name, prefix string }{
	{"X-Navarch-Signature", "sha256="},
	{"X-Hub-Signature-256", "sha256="}, // GitHub
	{"X-Gitea-Signature", ""},
	{"X-Forgejo-Signature", ""},
}

// maxSkew is how old a signature that tells its time may be, and how far ahead.
const maxSkew = 5 * time.Minute

// signingPrefix begins a token that GitLab has made to sign with.
const signingPrefix = "whsec_"

// secrets checks who sent a webhook.
type secrets struct {
	secret  []byte
	signing []byte // key of GitLab's signatures; the secret itself where it is no token of GitLab
}

func newSecrets(secret string) (secrets, error) {
	s := secrets{secret: []byte(secret), signing: []byte(secret)}
	if token, ok := strings.CutPrefix(secret, signingPrefix); ok {
		key, err := base64.StdEncoding.DecodeString(token)
		if err != nil {
			return secrets{}, errors.New("the secret of webhooks begins like a signing token of GitLab and goes on otherwise: copy the whole token")
		}
		s.signing = key
	}
	return s, nil
}

// signed tells whether one of the signatures of a request holds. Every comparison
// takes the same time, whatever is compared.
func (s secrets) signed(header http.Header, body []byte, now time.Time) bool {
	mac := hmac.New(sha256.New, s.secret)
	mac.Write(body)
	sum := mac.Sum(nil)
	for _, h := range signatureHeaders {
		digits, ok := strings.CutPrefix(header.Get(h.name), h.prefix)
		given, err := hex.DecodeString(digits)
		if ok && err == nil && hmac.Equal(given, sum) {
			return true
		}
	}
	return s.token(header.Get("X-Gitlab-Token")) || s.standard(header, body, now)
}

// token tells whether GitLab has sent the secret itself.
func (s secrets) token(given string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256(s.secret)
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// standard tells whether a signature after the Standard Webhooks specification, as
// GitLab makes it with a signing token, holds.
func (s secrets) standard(header http.Header, body []byte, now time.Time) bool {
	id, stamp := header.Get("Webhook-Id"), header.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > maxSkew {
		return false
	}
	mac := hmac.New(sha256.New, s.signing)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	sum := mac.Sum(nil)
	for signature := range strings.FieldsSeq(header.Get("Webhook-Signature")) {
		digits, ok := strings.CutPrefix(signature, "v1,")
		given, err := base64.StdEncoding.DecodeString(digits)
		if ok && err == nil && hmac.Equal(given, sum) {
			return true
		}
	}
	return false
}
