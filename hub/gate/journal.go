package gate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/navarch/navarch/hub/access"
)

// JournalName is the file of the audit log, beside that of the members.
const JournalName = "audit.jsonl"

// How many refusals are written. Who is refused may be anybody, and shall not fill
// the disk.
const (
	refusalsEvery = rate.Limit(1) // times a second
	refusalsBurst = 50
)

// tailSize is how much of the end of the journal is read to show it, in bytes.
const tailSize = 256 << 10

// Journal is the audit log: a file of JSON lines that only grows. It is for any
// number of goroutines.
type Journal struct {
	file string
	log  *slog.Logger

	mu       sync.Mutex
	refusals *rate.Limiter
	unsaid   int // refusals that were not written since the last entry
}

// OpenJournal returns the journal in a file, and an error where it cannot be written.
func OpenJournal(file string, log *slog.Logger) (*Journal, error) {
	j := &Journal{file: file, log: log, refusals: rate.NewLimiter(refusalsEvery, refusalsBurst)}
	if err := j.append(nil); err != nil {
		return nil, fmt.Errorf("open the audit log: %w (say --audit with a file that this user may write)", err)
	}
	return j, nil
}

// Write adds an entry. One that cannot be written goes to the hub's own log, whole:
// the action is done by then. The file is opened each time, so that it may be moved
// away by who keeps logs.
func (j *Journal) Write(e access.Entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.At = e.At.UTC().Truncate(time.Millisecond)
	if e.Outcome == access.Refused && !j.refusals.AllowN(e.At, 1) {
		j.unsaid++
		return
	}
	e.More, j.unsaid = j.unsaid, 0
	line, err := json.Marshal(e)
	if err == nil {
		err = j.append(append(line, '\n'))
	}
	if err != nil {
		j.log.Error("cannot write the audit log", "entry", string(line), "err", err)
	}
}

// append begins a line of its own where a hub that died has left half of one.
func (j *Journal) append(line []byte) error {
	file, err := os.OpenFile(j.file, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if len(line) > 0 && !ended(file) {
		line = append([]byte("\n"), line...)
	}
	_, err = file.Write(line)
	if len(line) > 0 {
		err = errors.Join(err, file.Sync())
	}
	return errors.Join(err, file.Close())
}

// ended tells whether a file is empty or ends with a line, as far as can be seen.
func ended(file *os.File) bool {
	stat, err := file.Stat()
	if err != nil || stat.Size() == 0 {
		return true
	}
	var last [1]byte
	_, err = file.ReadAt(last[:], stat.Size()-1)
	return err != nil || last[0] == '\n'
}

// Newest returns the last entries, newest first, and no more than most.
func (j *Journal) Newest(most int) ([]access.Entry, error) {
	file, err := os.Open(j.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	begin := max(stat.Size()-tailSize, 0)
	content, err := io.ReadAll(io.NewSectionReader(file, begin, stat.Size()-begin))
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	if begin > 0 {
		_, content, _ = bytes.Cut(content, []byte("\n")) // the first line is cut off
	}
	var entries []access.Entry
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, tailSize)
	for lines.Scan() {
		var e access.Entry
		if json.Unmarshal(lines.Bytes(), &e) == nil { // a hub that died may have left half a line
			entries = append(entries, e)
		}
	}
	slices.Reverse(entries)
	return entries[:min(most, len(entries))], nil
}
