package gate

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/access"
)

// The bounds of a session's life.
const (
	DefaultSession = 12 * time.Hour
	mostSession    = 7 * 24 * time.Hour
)

// maxFile is far more than any access file has, in bytes.
const maxFile = 1 << 20

// Settings are what an access file says. The zero value lets those in who have an
// access token.
type Settings struct {
	URL           *url.URL      // of the dashboard, as browsers know it; nil: not said
	Session       time.Duration // how long somebody stays signed in; default DefaultSession
	OIDC          *OIDC         // nil: no identity provider
	Grants        []access.Grant
	RevokedTokens []string // ids of access tokens that are no longer good
}

// OIDC is an identity provider, and the hub as its client. Paths of files that are
// relative begin in the folder of the access file.
type OIDC struct {
	Issuer      string
	ClientID    string
	Scopes      []string // default openid, profile, email
	UserClaim   string   // default email, which must be verified
	GroupsClaim string   // default groups
	Name        string   // for the button; default the issuer's host
	secret      namedFile
	ca          namedFile // of the provider's certificate; none: the system's
}

// namedFile is one that an access file names. Without a path there is none.
type namedFile struct {
	path, field string
	line        int
	content     []byte
}

// files are those that the settings name.
func (o *OIDC) files() []*namedFile {
	return slices.DeleteFunc([]*namedFile{&o.secret, &o.ca}, func(f *namedFile) bool { return f.path == "" })
}

// ReadFile reads an access file. Its errors are [fleet.Problems], with every mistake.
func ReadFile(name string) (Settings, error) {
	content, err := readContent(name)
	if err != nil {
		return Settings{}, err
	}
	s, problems := parse(name, content)
	if s.OIDC != nil && problems.Err() == nil {
		problems = s.OIDC.readFiles(name)
	}
	return s, problems.Err()
}

func readContent(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the access file: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the access file: %w", err)
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("read the access file: %q has more than %d bytes", name, maxFile)
	}
	return content, nil
}

// readFiles reads what the settings name.
func (o *OIDC) readFiles(name string) fleet.Problems {
	var problems fleet.Problems
	refuse := func(f *namedFile, err error, hint string) {
		problems = append(problems, fleet.Problem{File: name, Line: f.line, Field: f.field, Message: err.Error(), Hint: hint})
	}
	for _, f := range o.files() {
		path := f.path
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(name), path)
		}
		var err error
		f.content, err = os.ReadFile(path)
		if err == nil && len(bytes.TrimSpace(f.content)) == 0 {
			err = fmt.Errorf("the file %q is empty", path)
		}
		if err != nil {
			refuse(f, err, "name a file that the hub's user may read; a relative path begins in the folder of the access file")
		}
	}
	if o.ca.content != nil && !x509.NewCertPool().AppendCertsFromPEM(o.ca.content) && problems.Err() == nil {
		refuse(&o.ca, fmt.Errorf("the file %q has no certificate in PEM", o.ca.path), "name the certificate of who signed that of the provider")
	}
	return problems
}

// parse reads the content of an access file. It does no I/O.
func parse(name string, content []byte) (Settings, fleet.Problems) {
	s := Settings{Session: DefaultSession}
	d := &document{name: name}
	var root yaml.Node
	if err := yaml.Unmarshal(content, &root); err != nil {
		d.problems = append(d.problems, fleet.Problem{File: name, Message: "is no YAML: " + strings.TrimPrefix(err.Error(), "yaml: "), Hint: "an access file begins with url, oidc or grants"})
		return s, d.problems
	}
	if len(root.Content) == 0 {
		return s, nil
	}
	d.mapping(root.Content[0], "", fields{
		"url":           func(n *yaml.Node, at string) { s.URL = d.url(n, at) },
		"session":       func(n *yaml.Node, at string) { s.Session = d.session(n, at) },
		"oidc":          func(n *yaml.Node, at string) { s.OIDC = d.oidc(n, at) },
		"revokedTokens": func(n *yaml.Node, at string) { s.RevokedTokens = d.texts(n, at) },
		"grants": func(n *yaml.Node, at string) {
			d.sequence(n, at, func(n *yaml.Node, at string) { s.Grants = append(s.Grants, d.grant(n, at)) })
		},
	})
	switch {
	case s.OIDC != nil && s.URL == nil && len(d.problems) == 0:
		d.refuse(root.Content[0], "url", "the provider has to know where to send people back: write the address of the dashboard, as in https://hub.example.com", "is missing")
	case s.OIDC == nil && len(s.Grants) > 0:
		d.refuse(root.Content[0], "grants", "write oidc too; access tokens carry their role in themselves", "name users and groups that no identity provider vouches for")
	}
	return s, d.problems
}

func (d *document) url(n *yaml.Node, at string) *url.URL {
	text := d.text(n, at)
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		d.refuse(n, at, "write it without a path, as in https://hub.example.com", "%q is not the address of a dashboard", text)
		return nil
	}
	u.Path = ""
	return u
}

func (d *document) session(n *yaml.Node, at string) time.Duration {
	text := d.text(n, at)
	life, err := time.ParseDuration(text)
	if err != nil || life < time.Minute || life > mostSession {
		d.refuse(n, at, "write one from 1m to 168h, as in 12h", "%q is not how long somebody stays signed in", text)
	}
	return life
}

func (d *document) oidc(n *yaml.Node, at string) *OIDC {
	o := &OIDC{Scopes: []string{"openid", "profile", "email"}, UserClaim: "email", GroupsClaim: "groups"}
	set := func(to *string) field { return func(n *yaml.Node, at string) { *to = d.text(n, at) } }
	file := func(to *namedFile) field {
		return func(n *yaml.Node, at string) { *to = namedFile{path: d.text(n, at), field: at, line: n.Line} }
	}
	d.mapping(n, at, fields{
		"issuer": set(&o.Issuer), "clientID": set(&o.ClientID), "clientSecretFile": file(&o.secret),
		"userClaim": set(&o.UserClaim), "groupsClaim": set(&o.GroupsClaim), "caFile": file(&o.ca), "name": set(&o.Name),
		"scopes": func(n *yaml.Node, at string) { o.Scopes = d.texts(n, at) },
	})
	issuer, err := url.Parse(o.Issuer)
	switch {
	case err != nil || issuer.Host == "" || issuer.Scheme != "https" && (issuer.Scheme != "http" || !loopbackHost(issuer.Host)):
		d.refuse(n, at+".issuer", "write the https address that the provider calls itself", "%q is no issuer", o.Issuer)
	case o.ClientID == "":
		d.refuse(n, at+".clientID", "register the hub with the provider, and write the id that it gives", "is missing")
	case !slices.Contains(o.Scopes, "openid"):
		d.refuse(n, at+".scopes", "add openid", "have no openid, without which the provider does not say who somebody is")
	case o.Name == "":
		o.Name = issuer.Host
	}
	return o
}

func (d *document) grant(n *yaml.Node, at string) access.Grant {
	var g access.Grant
	var who, role bool
	d.mapping(n, at, fields{
		"who": func(n *yaml.Node, at string) {
			who = true
			text := d.text(n, at)
			kind, name, _ := strings.Cut(text, ":")
			switch {
			case kind == "user" && name != "":
				g.User = name
			case kind == "group" && name != "":
				g.Group = name
			default:
				d.refuse(n, at, "write user:NAME or group:NAME", "%q is nobody", text)
			}
		},
		"role": func(n *yaml.Node, at string) {
			role = true
			var err error
			if g.Role, err = access.ParseRole(d.text(n, at)); err != nil {
				d.refuse(n, at, "", "%v", err)
			}
		},
		"apps":     func(n *yaml.Node, at string) { g.Apps = d.selector(n, at) },
		"clusters": func(n *yaml.Node, at string) { g.Clusters = d.selector(n, at) },
	})
	for field, written := range map[string]bool{"role": role, "who": who} {
		if !written {
			d.refuse(n, at+"."+field, "a grant says who and role", "is missing")
		}
	}
	return g
}
