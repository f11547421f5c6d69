package repo

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"unicode"
)

// address is where a repository is, as its URL says, without the credentials that
// the URL may hold.
type address struct {
	shown    string // the URL without credentials
	overSSH  bool
	host     string // with the port where it is ssh
	user     string // of ssh
	path     string
	username string // from the URL
	password string // from the URL
}

// parseAddress reads the URL of a repository. Its errors do not repeat it, because
// it may hold a password.
func parseAddress(text string) (address, error) {
	u, err := url.Parse(text)
	if err == nil && u.Scheme == "ssh" && u.Host != "" {
		return sshAddress(u)
	}
	if err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") {
		return httpAddress(u)
	}
	if a, ok := shortAddress(text); ok {
		return a, a.check()
	}
	return address{}, errors.New("the URL of the repository is not one of https, http or ssh: write it as in https://git.example.com/team/fleet.git or git@git.example.com:team/fleet.git")
}

func httpAddress(u *url.URL) (address, error) {
	if u.RawQuery != "" || u.Fragment != "" {
		return address{}, errors.New("the URL of the repository has a query or fragment: give a user name and password apart from it")
	}
	a := address{host: u.Host, path: u.Path}
	if u.User != nil {
		a.username = u.User.Username()
		a.password, _ = u.User.Password()
	}
	u.User = nil
	a.shown = u.String()
	return a, nil
}

func sshAddress(u *url.URL) (address, error) {
	if u.RawQuery != "" || u.Fragment != "" {
		return address{}, errors.New("the URL of the repository has a query or fragment, which ssh has no use for: leave it out")
	}
	if _, ok := u.User.Password(); ok {
		return address{}, errors.New("the URL of the repository has a password, which is not used with ssh: give the file of a private key")
	}
	a := address{shown: u.String(), overSSH: true, user: u.User.Username(), host: u.Hostname(), path: u.Path}
	if strings.HasPrefix(a.path, "/~") {
		a.path = a.path[1:] // as git has it: the home of somebody
	}
	port := u.Port()
	if port == "" {
		port = "22"
	}
	a.host = net.JoinHostPort(a.host, port)
	return a, a.check()
}

// shortAddress reads [user@]host:path, as git does where there is no slash before
// the colon. An IPv6 address stands in brackets.
func shortAddress(text string) (address, bool) {
	a := address{shown: text, overSSH: true}
	rest := text
	if user, after, ok := strings.Cut(rest, "@"); ok && !strings.ContainsAny(user, ":/") {
		a.user, rest = user, after
	}
	var host string
	if inside, ok := strings.CutPrefix(rest, "["); ok {
		host, rest, ok = strings.Cut(inside, "]:")
		if !ok || net.ParseIP(host) == nil {
			return address{}, false
		}
	} else if host, rest, ok = strings.Cut(rest, ":"); !ok {
		return address{}, false
	}
	if host == "" || strings.ContainsAny(host, "/@[]\\") || strings.HasPrefix(rest, "//") || strings.HasPrefix(rest, ":") {
		return address{}, false
	}
	a.host, a.path = net.JoinHostPort(host, "22"), rest
	return a, true
}

// check refuses what a server, or a shell there, could take for something else than
// the path of a repository.
func (a *address) check() error {
	if a.user == "" {
		a.user = "git"
	}
	odd := func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) }
	host, _, err := net.SplitHostPort(a.host)
	switch {
	case err != nil || strings.HasPrefix(host, "-") || strings.ContainsFunc(host, odd) || strings.ContainsFunc(a.user, odd):
		return errors.New("the URL of the repository names a host or user that there cannot be: write it as in ssh://git@git.example.com/team/fleet.git")
	case strings.Trim(a.path, "/") == "":
		return errors.New("the URL of the repository names no path: write it as in ssh://git@git.example.com/team/fleet.git")
	case strings.HasPrefix(a.path, "-"), strings.ContainsFunc(a.path, unicode.IsControl):
		return errors.New("the URL of the repository has a path that begins with '-' or holds a control character: no server has such a repository")
	}
	return nil
}

// quoteWord writes a text as one word of a shell at the other end, csh included: in
// single quotes, with those that it holds, and its exclamation marks, outside.
func quoteWord(text string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(text) + "'"
}
