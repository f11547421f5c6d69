package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// remote is the repository on its server.
type remote struct {
	url    string // without credentials, so that it can be shown
	ref    plumbing.ReferenceName
	client transport.Transport
	auth   transport.AuthMethod // nil: none
	masks  *strings.Replacer    // takes credentials out of what others say
}

// visit is one look at a remote: one request, and one more where something is
// downloaded.
type visit struct {
	session      transport.UploadPackSession
	capabilities *capability.List
	tip          plumbing.Hash
}

// request is what of a visited commit is wanted.
type request struct {
	haves []plumbing.Hash // with all that they hold, and their history up to where it is shallow
	depth int             // generations of history
}

// newRemote checks what the configuration says of the repository. Its errors do not
// repeat a URL, which may hold a password.
func newRemote(c Config) (*remote, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New("the URL of the repository is not one of http or https: write it as in https://git.example.com/team/fleet.git")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the URL of the repository has a query or fragment: give a user name and password apart from it")
	}
	username, password := c.Username, c.Password
	if u.User != nil && username == "" && password == "" {
		username = u.User.Username()
		password, _ = u.User.Password()
	}
	u.User = nil
	if username == "" && password != "" {
		username = "git" // servers want some name beside a token, whichever
	}
	ref := plumbing.NewBranchReferenceName(c.Branch)
	if err := ref.Validate(); err != nil {
		return nil, fmt.Errorf("branch %q: no branch can be named so", c.Branch)
	}
	r := &remote{
		url:    u.String(),
		ref:    ref,
		masks:  masks(username, password),
		client: githttp.NewClient(&http.Client{Transport: newGuard(), CheckRedirect: sameHost}),
	}
	if username != "" {
		r.auth = &githttp.BasicAuth{Username: username, Password: password}
	}
	return r, nil
}

// config is the file by which a store is known to be of this remote.
func (r *remote) config() string {
	return fmt.Sprintf("[core]\n\trepositoryformatversion = 0\n\tbare = true\n[remote \"origin\"]\n\turl = %q\n", r.url)
}

// visit asks where the branch is.
func (r *remote) visit(ctx context.Context) (*visit, error) {
	endpoint, err := transport.NewEndpoint(r.url) // anew: a redirect writes to it
	if err != nil {
		return nil, r.explain(ctx, err)
	}
	session, err := r.client.NewUploadPackSession(endpoint, r.auth)
	if err != nil {
		return nil, r.explain(ctx, err)
	}
	refs, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		return nil, r.explain(ctx, err)
	}
	tip, ok := refs.References[r.ref.String()]
	if !ok {
		return nil, r.missing(refs)
	}
	return &visit{session: session, capabilities: refs.Capabilities, tip: tip}, nil
}

// missing says which branches there are where the wanted one is not.
func (r *remote) missing(refs *packp.AdvRefs) error {
	var branches []string
	for name := range refs.References {
		if branch, ok := strings.CutPrefix(name, "refs/heads/"); ok {
			branches = append(branches, fmt.Sprintf("%q", branch))
		}
	}
	slices.Sort(branches)
	const enough = 10
	list := strings.Join(branches[:min(len(branches), enough)], ", ")
	switch {
	case len(branches) == 0:
		list = "it has none"
	case len(branches) > enough:
		list = fmt.Sprintf("it has %s and %d more", list, len(branches)-enough)
	default:
		list = "it has " + list
	}
	return fmt.Errorf("repository %q has no branch %q: %s", r.url, r.ref.Short(), list)
}

// download fetches the visited commit into a store.
func (r *remote) download(ctx context.Context, v *visit, s *store, want request) error {
	req := packp.NewUploadPackRequestFromCapabilities(v.capabilities)
	req.Wants, req.Haves = []plumbing.Hash{v.tip}, want.haves
	if v.capabilities.Supports(capability.NoProgress) {
		if err := req.Capabilities.Set(capability.NoProgress); err != nil {
			return err
		}
	}
	var known []plumbing.Hash
	if v.capabilities.Supports(capability.Shallow) {
		if err := req.Capabilities.Set(capability.Shallow); err != nil {
			return err
		}
		var err error
		if known, err = s.shallow(); err != nil {
			return err
		}
		req.Depth, req.Shallows = packp.DepthCommits(want.depth), known
	}
	answer, err := v.session.UploadPack(ctx, req)
	if err != nil {
		return r.explain(ctx, err)
	}
	defer answer.Close()
	// Ends of history that are not there any more do no harm, those that are not
	// known do: the server would leave out what it takes for known.
	ends := union(known, answer.Shallows)
	if len(ends) > len(known) {
		if err := s.setShallow(ends); err != nil {
			return err
		}
	}
	if err := r.receive(ctx, req, answer, s); err != nil || len(answer.Unshallows) == 0 {
		return err
	}
	ends = slices.DeleteFunc(ends, func(end plumbing.Hash) bool { return slices.Contains(answer.Unshallows, end) })
	return s.setShallow(ends)
}

// receive puts the pack of an answer into the store.
func (r *remote) receive(ctx context.Context, req *packp.UploadPackRequest, answer io.Reader, s *store) error {
	pack := &source{reader: answer}
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
		pack.reader = sideband.NewDemuxer(sideband.Sideband64k, answer)
	case req.Capabilities.Supports(capability.Sideband):
		pack.reader = sideband.NewDemuxer(sideband.Sideband, answer)
	}
	err := s.add(pack)
	switch {
	case err == nil:
		return nil
	case pack.err != nil:
		return r.explain(ctx, pack.err)
	default:
		return onDisk(err)
	}
}

// source remembers the error of a reader, to tell it from one of a writer.
type source struct {
	reader io.Reader
	err    error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

func union(a, b []plumbing.Hash) []plumbing.Hash {
	all := slices.Clone(a)
	for _, hash := range b {
		if !slices.Contains(all, hash) {
			all = append(all, hash)
		}
	}
	return all
}
