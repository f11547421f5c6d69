package dashboard

import (
	"context"
	"errors"
	"net/http"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/access"
	"github.com/navarch/navarch/wire"
)

// People is what the dashboard needs to let people in and to do what they say. Each
// function looks at who asks, in the context, and writes the audit log. The defaults
// refuse.
type People struct {
	Provider string // name of the identity provider; empty: there is none
	// Invite makes a token for a cluster, and returns the line that installs its agent.
	// The address is the dashboard's, as the browser knows it.
	Invite func(ctx context.Context, i wire.Invitation, address string) (line string, err error)
	// Tell approves or revokes a member, or allows it to join again.
	Tell func(ctx context.Context, action access.Action, cluster fleet.ClusterName) error
	// Audit returns the newest entries of the audit log, newest first.
	Audit func(most int) ([]access.Entry, error)
}

func (p People) withDefaults() People {
	errNobody := errors.New("this hub has no members to speak of")
	if p.Invite == nil {
		p.Invite = func(context.Context, wire.Invitation, string) (string, error) { return "", errNobody }
	}
	if p.Tell == nil {
		p.Tell = func(context.Context, access.Action, fleet.ClusterName) error { return errNobody }
	}
	if p.Audit == nil {
		p.Audit = func(int) ([]access.Entry, error) { return nil, nil }
	}
	return p
}

// signInPage asks who somebody is.
type signInPage struct {
	frame
	Provider string
	To       string // where to go afterwards; who signs in checks it
	Why      string // a sentence
}

// whys are why somebody is asked again. An address carries only the word.
var whys = map[string]string{
	"token":    "That token is not one of this hub, or it has expired.",
	"provider": "The identity provider did not say who you are. The hub's log says why.",
	"role":     "You are known, and have no role here. Ask an administrator of the hub.",
	"out":      "You are signed out.",
}

func (d *Dashboard) serveSignIn(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	page := signInPage{frame: d.frame(r, "Sign in"), Provider: d.People.Provider, To: query.Get("to"), Why: whys[query.Get("why")]}
	page.Still = true
	d.render(w, http.StatusOK, "signin.html", page)
}

// mostEntries is how many entries of the audit log the page shows. The file has all.
const mostEntries = 200

// auditPage is what people did, newest first.
type auditPage struct {
	frame
	Entries []access.Entry
	Full    bool // there may be more
}

func (d *Dashboard) serveAudit(w http.ResponseWriter, r *http.Request) {
	f := d.frame(r, "Audit log")
	if !f.Auditor() {
		d.serveMessage(w, r, http.StatusForbidden, "Not for you", "The audit log is for admins of the whole fleet.")
		return
	}
	entries, err := d.People.Audit(mostEntries)
	if err != nil {
		d.serveMessage(w, r, http.StatusInternalServerError, "The audit log cannot be read", err.Error())
		return
	}
	f.Still = true // what people do makes no new snapshot
	d.render(w, http.StatusOK, "audit.html", auditPage{frame: f, Entries: entries, Full: len(entries) == mostEntries})
}

// Refuse tells a person why there is no page.
func (d *Dashboard) Refuse(w http.ResponseWriter, r *http.Request, status int, title, message string) {
	d.serveMessage(w, r, status, title, message)
}
