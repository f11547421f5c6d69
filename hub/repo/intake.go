package repo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// What a pack may hold. A few bytes can say that they are four thousand million
// objects, or unpack to any size, and an index of what is packed needs memory for
// both.
const (
	maxObjects      = 4_000_000
	maxUnpacked     = 128 << 20 // of one object
	maxUnpackedInIt = 64 << 30  // of all together
	margin          = 64 << 10  // by which what is passed on stays behind what was looked at
)

// bulkError is a pack that would unpack to too much.
type bulkError struct{ why string }

func (e *bulkError) Error() string { return e.why }

// packError is a pack that is not one.
type packError struct{ err error }

func (e *packError) Error() string { return "the pack is broken: " + e.err.Error() }

// inspect passes a pack on while it looks at every object in it. The end is passed on
// only when all was well.
func inspect(pack io.Reader, to io.Writer) error {
	late := &lateWriter{to: to}
	behind := io.TeeReader(pack, late)
	err := inspectAll(packfile.NewScanner(behind))
	if late.failed != nil {
		return late.failed
	}
	if errors.Is(err, packfile.ErrEmptyPackfile) {
		return nil // there is nothing to have
	}
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, behind); err != nil {
		return err
	}
	return late.release()
}

func inspectAll(s *packfile.Scanner) error {
	_, count, err := s.Header()
	if err != nil {
		return packErrorOf(err)
	}
	if count > maxObjects {
		return &bulkError{fmt.Sprintf("it says that it has %d objects, more than a fleet repository can have", count)}
	}
	left := int64(maxUnpackedInIt)
	for range count {
		size, err := inspectObject(s)
		if err != nil {
			return err
		}
		if left -= size; left < 0 {
			return &bulkError{fmt.Sprintf("it unpacks to more than %d GiB", maxUnpackedInIt>>30)}
		}
	}
	_, err = s.Checksum()
	return packErrorOf(err)
}

// inspectObject returns what an object unpacks to.
func inspectObject(s *packfile.Scanner) (int64, error) {
	header, err := s.NextObjectHeader()
	if err != nil {
		return 0, packErrorOf(err)
	}
	if err := fits(header.Length); err != nil {
		return 0, err
	}
	var begin prefix
	if _, _, err := s.NextObject(&begin); err != nil {
		return 0, packErrorOf(err)
	}
	if !header.Type.IsDelta() {
		return header.Length, nil
	}
	// A difference begins with the size of what it is to, and of what it makes.
	_, n := binary.Uvarint(begin)
	if n <= 0 {
		return 0, packErrorOf(packfile.ErrMalformedPackFile)
	}
	size, m := binary.Uvarint(begin[n:])
	if m <= 0 || int64(size) < 0 {
		return 0, packErrorOf(packfile.ErrMalformedPackFile)
	}
	return int64(size), fits(int64(size))
}

func fits(size int64) error {
	if size < 0 || size > maxUnpacked {
		return &bulkError{fmt.Sprintf("it holds a file of more than %d MiB: files of this size do not belong into a fleet repository", maxUnpacked>>20)}
	}
	return nil
}

func packErrorOf(err error) error {
	if err == nil || errors.Is(err, packfile.ErrEmptyPackfile) {
		return err
	}
	return &packError{err}
}

// prefix keeps the beginning of what is written to it.
type prefix []byte

func (p *prefix) Write(b []byte) (int, error) {
	const enough = 2 * binary.MaxVarintLen64
	*p = append(*p, b[:min(len(b), enough-len(*p))]...)
	return len(b), nil
}

// lateWriter holds the last bytes back.
type lateWriter struct {
	to     io.Writer
	held   []byte
	failed error // to write; others may hide it
}

func (l *lateWriter) Write(b []byte) (int, error) {
	l.held = append(l.held, b...)
	if len(l.held) < 2*margin {
		return len(b), nil
	}
	return len(b), l.pass(len(l.held) - margin)
}

func (l *lateWriter) release() error { return l.pass(len(l.held)) }

// pass passes the first bytes on.
func (l *lateWriter) pass(n int) error {
	if _, err := l.to.Write(l.held[:n]); err != nil {
		l.failed = &diskError{err}
		return l.failed
	}
	l.held = l.held[:copy(l.held, l.held[n:])]
	return nil
}

// diskError is one of the file that a pack is written to.
type diskError struct{ error }

func (e *diskError) Unwrap() error { return e.error }

// plausible tells whether the indexes of packs have the size that they say. One that
// says more would be given the memory for it.
func plausible(packs []string) bool {
	for _, pack := range packs {
		if !plausibleIndex(strings.TrimSuffix(pack, ".pack") + ".idx") {
			return false
		}
	}
	return true
}

func plausibleIndex(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return false
	}
	const head = 8 + 256*4 // magic, version, and how many objects begin with which byte
	var begin [head]byte
	if _, err := io.ReadFull(file, begin[:]); err != nil {
		return false
	}
	count, last := int64(binary.BigEndian.Uint32(begin[head-4:])), uint32(0)
	for at := 8; at < head; at += 4 {
		next := binary.BigEndian.Uint32(begin[at:])
		if next < last {
			return false
		}
		last = next
	}
	return info.Size() >= head+count*(20+4+4)+2*20
}
