package gitserver

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// none is the hash that stands for no commit.
var none = strings.Repeat("0", 40)

// webhook is who is told of a push. Without a URL, nobody is.
type webhook struct {
	url    string
	secret string
}

// refs is where the branches and tags of a repository are: full name to hash.
type refs map[string]string

// push is the body of a webhook: one moved ref.
type push struct {
	Ref        string     `json:"ref"`
	Before     string     `json:"before"`
	After      string     `json:"after"`
	Repository repository `json:"repository"`
}

type repository struct {
	FullName string `json:"full_name"`
	CloneURL string `json:"clone_url"`
}

// remember reads the refs of a repository that nobody has pushed to yet since the
// server has started.
func (s *Server) remember(ctx context.Context, name string) {
	s.order.Lock()
	defer s.order.Unlock()
	if _, known := s.known(name); known {
		return
	}
	now, err := s.read(ctx, name)
	if err != nil {
		return // the push will say what is wrong
	}
	s.keep(name, now)
}

// announce calls the webhook once for every ref that has moved.
func (s *Server) announce(ctx context.Context, name string) {
	s.order.Lock()
	defer s.order.Unlock()
	now, err := s.read(ctx, name)
	if err != nil {
		s.log.Printf("read the refs of %s: %v", name, err)
		return
	}
	before, _ := s.known(name)
	hook := s.keep(name, now)
	if hook.url == "" {
		return
	}
	for _, p := range moved(before, now) {
		p.Repository = repository{FullName: name, CloneURL: s.URL(name)}
		s.calls.Go(func() {
			if err := hook.call(ctx, p); err != nil {
				s.log.Printf("tell %s of a push to %s: %v", hook.url, name, err)
			}
		})
	}
}

func (s *Server) known(name string) (refs, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.refs[name]
	return known, ok
}

// keep keeps the refs of a repository and returns who is to be told.
func (s *Server) keep(name string, now refs) webhook {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refs[name] = now
	return s.hook
}

// read returns the refs of a repository.
func (s *Server) read(ctx context.Context, name string) (refs, error) {
	output, err := run(ctx, s.Dir(name), "for-each-ref", "--format=%(refname) %(objectname)")
	if err != nil {
		return nil, err
	}
	now := refs{}
	for line := range strings.Lines(output) {
		ref, hash, _ := strings.Cut(strings.TrimSpace(line), " ")
		now[ref] = hash
	}
	return now, nil
}

// moved returns what has changed between two states, by name of the ref.
func moved(before, now refs) []push {
	var pushes []push
	for ref, hash := range now {
		if before[ref] != hash {
			pushes = append(pushes, push{Ref: ref, Before: orNone(before[ref]), After: hash})
		}
	}
	for ref, hash := range before {
		if now[ref] == "" {
			pushes = append(pushes, push{Ref: ref, Before: hash, After: none})
		}
	}
	slices.SortFunc(pushes, func(a, b push) int { return strings.Compare(a.Ref, b.Ref) })
	return pushes
}

func orNone(hash string) string {
	if hash == "" {
		return none
	}
	return hash
}

// call sends one signed request.
func (h webhook) call(ctx context.Context, p push) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, []byte(h.secret))
	mac.Write(body)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Navarch-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("it answers %s", response.Status)
	}
	return nil
}
