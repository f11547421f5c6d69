package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// ClusterName names a member cluster: a lower-case DNS label of at most 63
// characters, so that it is one token of a NATS subject, a folder and a label value.
type ClusterName string

// AppName names an app. It is unique in a fleet, whatever the app's namespace,
// and obeys the same rule as a [ClusterName].
type AppName string

// Digest identifies content by its SHA-256: "sha256:" and 64 lower-case
// hexadecimal digits. The zero value means no content.
type Digest string

// ParseClusterName checks that s is a legal cluster name.
func ParseClusterName(s string) (ClusterName, error) {
	return ClusterName(s), checkName("cluster", s)
}

// ParseAppName checks that s is a legal app name.
func ParseAppName(s string) (AppName, error) {
	return AppName(s), checkName("app", s)
}

// ParseDigest checks that s is a digest in its only form.
func ParseDigest(s string) (Digest, error) {
	digits, ok := strings.CutPrefix(s, "sha256:")
	if !ok || len(digits) != sha256.Size*2 || strings.Trim(digits, "0123456789abcdef") != "" {
		return "", fmt.Errorf("digest %q: want \"sha256:\" and 64 lower-case hexadecimal digits", s)
	}
	return Digest(s), nil
}

// DigestOf returns the digest of content.
func DigestOf(content []byte) Digest {
	sum := sha256.Sum256(content)
	return Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// Hex returns the digits of d without the name of the algorithm.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), "sha256:") }

// Short returns the first twelve digits of d, for people.
func (d Digest) Short() string {
	digits := d.Hex()
	if len(digits) > 12 {
		return digits[:12]
	}
	return digits
}

const nameHint = "use lower-case letters, digits and '-', at most 63 characters, with a letter or digit at both ends"

func checkName(noun, s string) error {
	if s == "" {
		return fmt.Errorf("%s name is empty: %s", noun, nameHint)
	}
	if len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' ||
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("%s name %q is not a DNS label: %s", noun, s, nameHint)
	}
	return nil
}
