package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
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
	address
	ref   plumbing.ReferenceName
	http  transport.Transport // nil: ssh
	ssh   *sshAccess          // nil: http
	login login               // of http
	masks *strings.Replacer   // takes the credentials of the last visit out of what others say
	tags  bool                // tags are wanted, too
}

// login gives the credentials of a visit by http.
type login interface {
	// credentials returns a user name and a password, empty where there are none.
	credentials(ctx context.Context) (username, password string, err error)
	// refused tells that the server did not accept the last ones.
	refused()
	// kind names in an error what has to be checked.
	kind() string
}

// session is one visit to a server, over http or ssh.
type session interface {
	AdvertisedReferencesContext(ctx context.Context) (*packp.AdvRefs, error)
	UploadPack(ctx context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error)
	Close() error
}

// visit is one look at a remote: one request, and one more where something is
// downloaded. It is closed in the end.
type visit struct {
	session
	capabilities *capability.List
	tip          plumbing.Hash
	tags         []tagRef // annotated ones of the tip, by name
}

// tagRef is an annotated tag that is said to name the tip.
type tagRef struct {
	name string // without refs/tags/
	hash plumbing.Hash
}

// request is what of a visited commit is wanted.
type request struct {
	wants []plumbing.Hash
	haves []plumbing.Hash // with all that they hold, and their history up to where it is shallow
	depth int             // generations of history
}

// newRemote checks what the configuration says of the repository. Its errors do not
// repeat a URL, which may hold a password.
func newRemote(c Config) (*remote, error) {
	where, err := parseAddress(c.URL)
	if err != nil {
		return nil, err
	}
	ref := plumbing.NewBranchReferenceName(c.Branch)
	if err := ref.Validate(); err != nil {
		return nil, fmt.Errorf("branch %q: no branch can be named so", c.Branch)
	}
	r := &remote{address: where, ref: ref, masks: masks("", ""), tags: c.Verify.Mode.tags()}
	if err := c.fits(where); err != nil {
		return nil, err
	}
	if where.overSSH {
		r.ssh, err = newSSHAccess(where, c.SSH)
		return r, err
	}
	guard, err := newGuard(c.CAFile)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: guard, CheckRedirect: sameOrigin}
	r.http = githttp.NewClient(client)
	if c.App != (App{}) {
		r.login, err = newAppLogin(c.App, where, client)
		return r, err
	}
	r.login = newPassword(c, where)
	return r, nil
}

// fits refuses credentials of one kind for a URL of another, of which a person would
// believe that they are used.
func (c Config) fits(where address) error {
	switch {
	case where.overSSH && (c.Password != "" || c.Username != "" || c.App != App{} || c.CAFile != ""):
		return errors.New("a password, a GitHub App or a CA is given for a repository whose URL is one of ssh: give a private key and known hosts, or an https URL")
	case !where.overSSH && c.SSH != SSH{}:
		return errors.New("a private key or known hosts of ssh are given for a repository whose URL is one of http: give a URL as in ssh://git@git.example.com/team/fleet.git, or a password")
	case c.App != App{} && (c.Password != "" || where.username != "" || where.password != ""):
		return errors.New("both a password and a GitHub App are given for the repository: give one of them")
	}
	return nil
}

// password is a login that stays the same.
type password struct{ username, password string }

func newPassword(c Config, where address) password {
	p := password{username: c.Username, password: c.Password}
	if p == (password{}) {
		p = password{username: where.username, password: where.password}
	}
	if p.username == "" && p.password != "" {
		p.username = "git" // servers want some name beside a token, whichever
	}
	return p
}

func (p password) credentials(context.Context) (string, string, error) {
	return p.username, p.password, nil
}
func (p password) refused() {}
func (p password) kind() string {
	if p.username == "" {
		return ""
	}
	return "the user name and password"
}

// config is the file by which a store is known to be of this remote.
func (r *remote) config() string {
	return fmt.Sprintf("[core]\n\trepositoryformatversion = 0\n\tbare = true\n[remote \"origin\"]\n\turl = %q\n", r.shown)
}

// visit asks where the branch is.
func (r *remote) visit(ctx context.Context) (*visit, error) {
	session, err := r.open(ctx)
	if err != nil {
		return nil, r.explain(ctx, err)
	}
	refs, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		_ = session.Close() // the first error says more
		return nil, r.explain(ctx, err)
	}
	tip, ok := refs.References[r.ref.String()]
	if !ok {
		_ = session.Close()
		return nil, r.missing(refs)
	}
	v := &visit{session: session, capabilities: refs.Capabilities, tip: tip}
	if r.tags {
		v.tags = tagsOf(refs, tip)
	}
	return v, nil
}

// open begins a visit, over http with the credentials of now.
func (r *remote) open(ctx context.Context) (session, error) {
	if r.ssh != nil {
		return r.ssh.open(), nil
	}
	endpoint, err := transport.NewEndpoint(r.shown) // anew: a redirect writes to it
	if err != nil {
		return nil, err
	}
	username, password, err := r.login.credentials(ctx)
	if err != nil {
		return nil, err
	}
	r.masks = masks(username, password)
	var auth transport.AuthMethod
	if username != "" {
		auth = &githttp.BasicAuth{Username: username, Password: password}
	}
	return r.http.NewUploadPackSession(endpoint, auth)
}

// maxTags bounds the tags of one commit that are looked at.
const maxTags = 20

// tagsOf returns the annotated tags of a commit, the last by name where there are
// too many, because those are usually the newest.
func tagsOf(refs *packp.AdvRefs, commit plumbing.Hash) []tagRef {
	var tags []tagRef
	for ref, peeled := range refs.Peeled {
		name, ok := strings.CutPrefix(ref, "refs/tags/")
		if hash, there := refs.References[ref]; ok && there && peeled == commit {
			tags = append(tags, tagRef{name: name, hash: hash})
		}
	}
	slices.SortFunc(tags, func(a, b tagRef) int { return strings.Compare(a.name, b.name) })
	return tags[max(0, len(tags)-maxTags):]
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
	return fmt.Errorf("repository %q has no branch %q: %s", r.shown, r.ref.Short(), list)
}

// download fetches what is wanted of a visit into a store.
func (r *remote) download(ctx context.Context, v *visit, s *store, want request) error {
	req := packp.NewUploadPackRequestFromCapabilities(v.capabilities)
	req.Wants, req.Haves = want.wants, want.haves
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
	answer, err := v.UploadPack(ctx, req)
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
	var disk *diskError
	var bulk *bulkError
	var broken *packError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &disk):
		return onDisk(disk.error)
	case pack.err != nil:
		return r.explain(ctx, pack.err)
	case errors.As(err, &bulk):
		return fmt.Errorf("fetch %q: what the server sends is refused: %w", r.shown, bulk)
	case errors.As(err, &broken):
		return fmt.Errorf("fetch %q: the server sends what cannot be unpacked (%s): it is tried again", r.shown, r.quote(broken))
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
