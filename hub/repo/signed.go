package repo

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// signed is an object of Git taken apart into what was signed and the signature. It
// is read from the bytes that are stored, and more strictly than Git reads: what two
// programs could understand in two ways is refused, so that nobody signs one thing
// and has another deployed.
type signed struct {
	payload   []byte
	signature string        // armored; empty: there is none
	target    plumbing.Hash // tree of a commit, object of a tag
	name      string        // of a tag
}

// headerError is a header that Git would not write.
type headerError struct{ name, why string }

func (e *headerError) Error() string { return fmt.Sprintf("its header %q %s", e.name, e.why) }

var (
	errNoEnd = errors.New("its headers have no end")
	errNUL   = errors.New("its headers hold a zero byte")
)

// parseCommit takes a commit apart.
func parseCommit(content []byte) (signed, error) {
	head, body, err := cutHead(content)
	if err != nil {
		return signed{}, err
	}
	p := commitParser{}
	for line := range bytes.Lines(head) {
		if err := p.line(line); err != nil {
			return signed{}, err
		}
	}
	if p.stage < stageCommitter {
		return signed{}, &headerError{"committer", "is missing"}
	}
	p.payload = append(append(p.payload, '\n'), body...)
	return p.signed, nil
}

// cutHead returns the headers, each with the end of its line, and what is behind the
// empty line.
func cutHead(content []byte) (head, body []byte, err error) {
	end := bytes.Index(content, []byte("\n\n"))
	if end < 0 {
		return nil, nil, errNoEnd
	}
	head, body = content[:end+1], content[end+2:]
	if bytes.IndexByte(head, 0) >= 0 {
		return nil, nil, errNUL
	}
	return head, body, nil
}

// The headers of a commit have one order.
const (
	stageStart = iota
	stageTree  // behind it, and behind each parent
	stageAuthor
	stageCommitter // behind it come all others
)

// commitParser reads the headers of a commit.
type commitParser struct {
	signed
	stage   int
	last    string // header that a continued line belongs to
	hasSeal bool
}

func (p *commitParser) line(line []byte) error {
	if line[0] == ' ' {
		switch p.last {
		case "":
			return errors.New("its headers begin with a continued line")
		case "gpgsig":
			p.signature += string(line[1:])
			return nil
		case "tree", "parent", "author", "committer":
			return &headerError{p.last, "goes on in another line"}
		}
		p.payload = append(p.payload, line...)
		return nil
	}
	name, value, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
	p.last = name
	if name == "gpgsig" {
		if p.hasSeal || p.stage < stageCommitter {
			return &headerError{name, "stands where it cannot, or twice"}
		}
		p.hasSeal, p.signature = true, value+"\n"
		return nil
	}
	p.payload = append(p.payload, line...)
	return p.header(name, value)
}

// header checks that a header is one that can come now.
func (p *commitParser) header(name, value string) error {
	misplaced := &headerError{name, "stands where it cannot, or twice"}
	switch name {
	case "tree":
		if p.stage != stageStart {
			return misplaced
		}
		p.stage = stageTree
		return parseHash(name, value, &p.target)
	case "parent":
		if p.stage != stageTree {
			return misplaced
		}
		return parseHash(name, value, new(plumbing.Hash))
	case "author":
		if p.stage != stageTree {
			return misplaced
		}
		p.stage = stageAuthor
	case "committer":
		if p.stage != stageAuthor {
			return misplaced
		}
		p.stage = stageCommitter
	case "":
		return errors.New("one of its headers has no name")
	default:
		if p.stage != stageCommitter || strings.HasPrefix(name, "gpgsig") {
			return misplaced
		}
	}
	return nil
}

func parseHash(name, value string, hash *plumbing.Hash) error {
	if len(value) != 40 || strings.Trim(value, "0123456789abcdef") != "" {
		return &headerError{name, "is no hash"}
	}
	*hash = plumbing.NewHash(value)
	return nil
}

// parseTag takes an annotated tag of a commit apart.
func parseTag(content []byte) (signed, error) {
	head, body, err := cutHead(content)
	if err != nil {
		return signed{}, err
	}
	var s signed
	order := []string{"object", "type", "tag", "tagger"}
	for line := range bytes.Lines(head) {
		name, value, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		if len(order) == 0 || name != order[0] {
			return signed{}, &headerError{name, "stands where it cannot, or twice"}
		}
		order = order[1:]
		switch name {
		case "object":
			err = parseHash(name, value, &s.target)
		case "type":
			if value != "commit" {
				err = fmt.Errorf("it is the tag of a %q, not of a commit", value)
			}
		case "tag":
			s.name = value
		}
		if err != nil {
			return signed{}, err
		}
	}
	if len(order) > 0 {
		return signed{}, &headerError{order[0], "is missing"}
	}
	s.payload, s.signature, err = cutSignature(content, len(content)-len(body))
	return s, err
}

// cutSignature cuts the signature off the end of a tag. It may stand nowhere before
// from.
func cutSignature(content []byte, from int) (payload []byte, signature string, err error) {
	begin := -1
	for at := from; at < len(content); {
		if bytes.HasPrefix(content[at:], []byte("-----BEGIN ")) {
			if begin >= 0 {
				return nil, "", errors.New("it has two signatures")
			}
			begin = at
		}
		next := bytes.IndexByte(content[at:], '\n')
		if next < 0 {
			break
		}
		at += next + 1
	}
	if begin < 0 {
		return content, "", nil
	}
	return content[:begin], string(content[begin:]), nil
}
