package repo

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// signatureError is why a signature proves nothing, in words that go on after "it".
type signatureError struct{ why string }

func (e *signatureError) Error() string { return e.why }

// verify returns nil when one of the keys has signed, and may do so now.
func (k keyring) verify(s signed, now time.Time) error {
	armored := strings.TrimSpace(s.signature)
	first, _, _ := strings.Cut(armored, "\n")
	switch {
	case armored == "":
		return &signatureError{"is not signed"}
	case strings.Count(armored, "-----BEGIN ") != 1:
		return &signatureError{"has more than one signature"}
	case first == "-----BEGIN PGP SIGNATURE-----" && strings.HasSuffix(armored, "\n-----END PGP SIGNATURE-----"):
		return k.verifyPGP(s.payload, armored, now)
	case first == "-----BEGIN SSH SIGNATURE-----" && strings.HasSuffix(armored, "\n-----END SSH SIGNATURE-----"):
		return k.verifySSH(s.payload, armored, now)
	}
	return &signatureError{"has a signature that is neither one of GPG nor of SSH"}
}

func (k keyring) verifyPGP(payload []byte, armored string, now time.Time) error {
	block, err := armor.Decode(strings.NewReader(armored))
	if err != nil {
		return &signatureError{"has a signature that cannot be read"}
	}
	content, err := io.ReadAll(block.Body)
	if err != nil {
		return &signatureError{"has a signature that cannot be read"}
	}
	sig, err := onlySignature(content)
	if err != nil {
		return err
	}
	name := pgpName(sig)
	if !slices.Contains(strongHashes, sig.Hash) {
		return &signatureError{"is signed by " + name + " over a hash that proves nothing any more"}
	}
	config := &packet.Config{Time: func() time.Time { return now }}
	_, signer, err := openpgp.VerifyDetachedSignature(k.pgp, bytes.NewReader(payload), bytes.NewReader(content), config)
	if signer != nil {
		name = fmt.Sprintf("%s of %q", name, owner(signer))
	}
	switch {
	case err == nil && sig.CreationTime.After(now.Add(maxSkew)):
		return &signatureError{"is signed by " + name + " at a time that is still to come"}
	case err == nil:
		return nil
	case errors.Is(err, pgperrors.ErrUnknownIssuer):
		return &signatureError{"is signed by " + name + ", which is not among the keys that may sign"}
	case errors.Is(err, pgperrors.ErrKeyExpired):
		return &signatureError{"is signed by " + name + ", which has expired"}
	case errors.Is(err, pgperrors.ErrKeyRevoked):
		return &signatureError{"is signed by " + name + ", which has been revoked"}
	case errors.Is(err, pgperrors.ErrSignatureExpired):
		return &signatureError{"is signed by " + name + ", and the signature has expired"}
	}
	return &signatureError{"has a wrong signature: what " + name + " has signed is something else"}
}

// strongHashes are those whose collisions nobody can make.
var strongHashes = []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA3_256, crypto.SHA3_512}

// onlySignature returns the one signature that a block holds. With several, which
// one counts would be for the reader to say.
func onlySignature(content []byte) (*packet.Signature, error) {
	packets := packet.NewReader(bytes.NewReader(content))
	first, err := packets.Next()
	if err != nil {
		return nil, &signatureError{"has a signature that cannot be read"}
	}
	sig, ok := first.(*packet.Signature)
	if !ok || sig.SigType != packet.SigTypeBinary {
		return nil, &signatureError{"has a signature that is not one of a file"}
	}
	if _, err := packets.Next(); !errors.Is(err, io.EOF) {
		return nil, &signatureError{"has more than one signature"}
	}
	return sig, nil
}

// pgpName names the key that a signature says it is by.
func pgpName(sig *packet.Signature) string {
	switch {
	case len(sig.IssuerFingerprint) > 0:
		return fmt.Sprintf("the GPG key %X", sig.IssuerFingerprint)
	case sig.IssuerKeyId != nil:
		return fmt.Sprintf("the GPG key %016X", *sig.IssuerKeyId)
	}
	return "a GPG key that it does not name"
}

// owner returns whose a key is.
func owner(e *openpgp.Entity) string {
	if identity := e.PrimaryIdentity(); identity != nil {
		return identity.Name
	}
	return fmt.Sprintf("%X", e.PrimaryKey.Fingerprint)
}

func (k keyring) verifySSH(payload []byte, armored string, now time.Time) error {
	sig, err := sshsig.Unarmor([]byte(armored))
	if err != nil {
		return &signatureError{"has a signature that cannot be read"}
	}
	name := "the SSH key " + ssh.FingerprintSHA256(sig.PublicKey)
	if sig.Namespace != gitNamespace {
		return &signatureError{fmt.Sprintf("has a signature by %s for %q, not for %q", name, sig.Namespace, gitNamespace)}
	}
	listed, good := false, false
	for _, key := range k.ssh {
		if !bytes.Equal(key.key.Marshal(), sig.PublicKey.Marshal()) {
			continue
		}
		listed = true
		name = fmt.Sprintf("the SSH key %s of %q", ssh.FingerprintSHA256(key.key), key.name)
		if (key.after.IsZero() || !now.Before(key.after)) && (key.before.IsZero() || now.Before(key.before)) {
			good = true
			break
		}
	}
	switch {
	case !listed:
		return &signatureError{"is signed by " + name + ", which is not among the keys that may sign"}
	case !good:
		return &signatureError{"is signed by " + name + ", which may not sign at this time"}
	}
	if sshsig.Verify(bytes.NewReader(payload), sig, sig.PublicKey, sig.HashAlgorithm, gitNamespace) != nil {
		return &signatureError{"has a wrong signature: what " + name + " has signed is something else"}
	}
	return nil
}
