package enrol

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

const (
	// DefaultLife is how long the JWT of an agent is good. The agent renews it after
	// two thirds of that.
	DefaultLife = 90 * 24 * time.Hour
	// RollName is the file of the roll in an identity folder.
	RollName = "members.json"

	// wantedLife is that of the JWT for a key that a person wants exchanged: the agent asks
	// again soon, and is told again, should it end before it has done so.
	wantedLife = 30 * time.Second

	askEvery = rate.Limit(1) // times a second that one cluster is answered
	askBurst = 5
)

// DeskConfig is what a desk needs to know. Identity, File and Log are required.
type DeskConfig struct {
	Identity *Identity
	File     string        // of the roll; absent: nobody has joined yet
	Life     time.Duration // of an agent's JWT; default DefaultLife
	// Revoked, where set, is told all revoked keys, and when, after there are more.
	Revoked func(keys map[string]time.Time) error
	Log     *slog.Logger
}

// Desk answers requests for enrolment and keeps the roll. It is for any number of
// goroutines of one hub.
type Desk struct {
	config DeskConfig

	mu    sync.Mutex
	roll  Roll
	asked map[fleet.ClusterName]*rate.Limiter
	seen  map[string]time.Time // commands by their nonces

	unwritten bool // something in roll that is not in the file, see Pinned
	watch

	revoking sync.Mutex // held while revocations are told
}

// OpenDesk reads the roll.
func OpenDesk(c DeskConfig) (*Desk, error) {
	if c.Life == 0 {
		c.Life = DefaultLife
	}
	d := &Desk{config: c, asked: map[fleet.ClusterName]*rate.Limiter{}, seen: map[string]time.Time{}}
	var err error
	d.roll, err = ReadRoll(c.File)
	return d, err
}

// ReadRoll reads the file of a roll; an absent one is a roll that nobody is on.
func ReadRoll(file string) (Roll, error) {
	roll := Roll{Version: storedVersion}
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return roll, nil
	}
	if err != nil {
		return roll, fmt.Errorf("read who has joined: %w (the hub's user must own it)", err)
	}
	return decodeRoll(file, content)
}

func decodeRoll(file string, content []byte) (Roll, error) {
	roll := Roll{Version: storedVersion}
	if err := json.Unmarshal(content, &roll); err != nil {
		return roll, fmt.Errorf("read who has joined: %q is damaged: %w (put back a copy; without it, revoked clusters are no longer known)", file, err)
	}
	if roll.Version != storedVersion {
		return roll, fmt.Errorf("%q has version %d, this hub knows %d (run the hub that wrote it)", file, roll.Version, storedVersion)
	}
	return roll, nil
}

// Roll returns who has joined. It is not to be written to.
func (d *Desk) Roll() Roll {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.roll
}

// Answer answers a request that came on the subject of a cluster's enrolment. It
// returns nil for one that is to have no answer: the cluster asks too often, or the
// answer could not be kept, and the agent asks again.
func (d *Desk) Answer(cluster fleet.ClusterName, sealed []byte, now time.Time) []byte {
	if !d.mayAsk(cluster, now) {
		return nil
	}
	request, token, err := wire.OpenEnrolRequest(sealed, cluster, d.config.Identity.TokenKeys(now)...)
	answer := wire.EnrolAnswer{Version: wire.Version, Cluster: cluster, Nonce: request.Nonce}
	if err == nil {
		answer.JWT, err = d.admit(request, token, now)
		answer.Exchange = err == nil && d.Roll().Members[cluster].Exchange
	}
	refused := new(RefusedError)
	switch {
	case err == nil:
		d.config.Log.Info("admitted", "cluster", cluster)
	case errors.As(err, &refused):
		answer.Refusal, answer.Message = refused.Refusal, refused.Message
	case errors.Is(err, wire.ErrToken):
		answer.Refusal, answer.Message = wire.RefusedToken, err.Error()
	case errors.Is(err, errKeep):
		d.config.Log.Error("cannot admit", "cluster", cluster, "err", err)
		return nil
	default:
		answer.Refusal, answer.Message = wire.RefusedForm, err.Error()
	}
	body, err := d.config.Identity.sealAnswer(answer)
	if err != nil {
		d.config.Log.Error("cannot answer", "cluster", cluster, "err", err)
		return nil
	}
	return body
}

func (d *Desk) mayAsk(cluster fleet.ClusterName, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	limit := d.asked[cluster]
	if limit == nil {
		limit = rate.NewLimiter(askEvery, askBurst)
		d.asked[cluster] = limit
	}
	return limit.AllowN(now, 1)
}

// admit returns the JWT of the request's key, or why there is none. The JWT is signed
// before the roll is kept, and the roll says when: who is revoked after that has none
// from later.
func (d *Desk) admit(r wire.EnrolRequest, token *wire.Token, now time.Time) (jwt string, err error) {
	expires := now.Add(d.config.Life)
	changed := d.change(func(roll Roll) (Roll, error) {
		q := Request{Cluster: r.Cluster, Key: r.Key, Token: token, Former: r.Former}
		q.Known = d.config.Identity.signedBefore(r.JWT, r.Cluster, cmp.Or(r.Former, r.Key))
		if roll, err = roll.Tidy(now).Enrol(q, now); err != nil {
			return roll, nil //nolint:nilerr // also who waits is kept; err is returned below
		}
		if m := roll.Members[r.Cluster]; m.Exchange && m.Key == r.Key {
			expires = now.Add(min(d.config.Life, wantedLife))
		}
		signed, issued, failed := d.config.Identity.AgentJWT(r.Cluster, r.Key, expires)
		if failed != nil {
			return roll, failed
		}
		jwt = signed
		return roll.Admitted(r.Cluster, issued, expires), nil
	})
	if err := errors.Join(changed, err); err != nil {
		return "", err
	}
	return jwt, nil
}

// errKeep is a roll that could not be written.
var errKeep = errors.New("cannot keep who has joined")

// change replaces the roll, on disk first, and has revocations told.
func (d *Desk) change(decide func(Roll) (Roll, error)) error {
	d.mu.Lock()
	before := d.roll
	after, err := decide(before)
	if err == nil {
		err = writeRoll(d.config.File, after)
	}
	if err == nil {
		d.roll, d.unwritten = after, false
	}
	d.mu.Unlock()
	if err != nil {
		return err
	}
	d.tell(d.Roll)
	if d.config.Revoked == nil || maps.Equal(before.Revoked, after.Revoked) {
		return nil
	}
	d.revoking.Lock() // so that what is told last is the newest
	defer d.revoking.Unlock()
	return d.config.Revoked(d.Roll().Revoked)
}

func writeRoll(file string, roll Roll) error {
	content, err := json.MarshalIndent(roll, "", "  ")
	if err != nil {
		return fmt.Errorf("%w: %w", errKeep, err)
	}
	if err := replace(file, append(content, '\n')); err != nil {
		return fmt.Errorf("%w: %w (say --members with a file that this user may write)", errKeep, err)
	}
	return nil
}

// replace writes a file whole or not at all.
func replace(file string, content []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(file), ".members-*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // it was renamed, or it stays and is not read
	_, err = temp.Write(content)
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), file); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
