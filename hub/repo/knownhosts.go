package repo

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// knownHosts is a file of host keys. It is read anew for every connection, so that a
// key can be replaced while the hub runs.
type knownHosts string

// hostKeyError is a host key that the file does not vouch for. Who is at the other
// end is not known, so nothing is asked or told.
type hostKeyError struct{ why string }

func (e *hostKeyError) Error() string { return e.why }

// check returns what compares the key of a host with the file, and the algorithms of
// the keys that the file has for it: none when it has none.
func (k knownHosts) check(address string) (ssh.HostKeyCallback, []string, error) {
	db, err := knownhosts.NewDB(string(k))
	if err != nil {
		return nil, nil, fmt.Errorf("read the known_hosts file: %w (each line is HOST KEYTYPE KEY, as ssh-keyscan prints it)", err)
	}
	known := db.HostKeyCallback()
	callback := func(host string, remote net.Addr, key ssh.PublicKey) error {
		if err := known(host, remote, key); err != nil {
			return &hostKeyError{why: k.explain(address, key, err)}
		}
		return nil
	}
	algorithms := slices.DeleteFunc(db.HostKeyAlgorithms(address), func(name string) bool {
		return name == ssh.KeyAlgoRSA || name == keyDSA // both sign with SHA-1
	})
	return callback, algorithms, nil
}

// explain says what to compare, and what to write where it is the same.
func (k knownHosts) explain(address string, key ssh.PublicKey, err error) string {
	var revoked *xknownhosts.RevokedError
	var other *xknownhosts.KeyError
	print, line := ssh.FingerprintSHA256(key), knownhosts.Line([]string{address}, key)
	switch {
	case errors.As(err, &revoked):
		return fmt.Sprintf("the server has the host key %s, which the known_hosts file %q revokes: somebody else may answer in its place", print, string(k))
	case errors.As(err, &other) && len(other.Want) > 0:
		return fmt.Sprintf("the server has another host key than the known_hosts file %q says in line %d: its %s key has the fingerprint %s. Somebody else may answer in its place. If who runs it says that this is the key, write this line in place of that one: %s",
			string(k), other.Want[0].Line, key.Type(), print, line)
	case errors.As(err, &other):
		return fmt.Sprintf("the server is not in the known_hosts file %q: its %s key has the fingerprint %s. Compare that with what who runs it says, and if it is the same, add this line: %s",
			string(k), key.Type(), print, line)
	}
	return fmt.Sprintf("the host key %s of the server is not one that the known_hosts file %q vouches for: %v", print, string(k), err)
}
