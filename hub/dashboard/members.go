package dashboard

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/access"
	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/wire"
)

// maxForm is more than any form here has, in bytes.
const maxForm = 16 << 10

// memberRow is one member, with what it is by now.
type memberRow struct {
	view.Member
	Mark   mark
	Labels []string // as key=value
	Heard  time.Time
	Known  bool // Git names it
}

// The marks of members.
var (
	markWaiting = mark{"held", "Waits for approval", "its token asks for a person"}
	markRevoked = mark{"failed", "Cut off", "its credentials were taken back"}
	markRejoin  = mark{"pending", "May join again", "another agent may take its place, once"}
	markMember  = mark{"ready", "Member", "its agent was let in"}
)

func rowOf(m view.Member, s *view.Snapshot) memberRow {
	r := memberRow{Member: m, Mark: markMember, Labels: labelsOf(m.Labels)}
	switch {
	case m.Rejoin:
		r.Mark = markRejoin
	case !m.Revoked.IsZero():
		r.Mark = markRevoked
	case m.Waiting:
		r.Mark = markWaiting
	}
	if c, ok := s.Cluster(m.Name); ok {
		r.Heard, r.Known = c.Heard, c.InGit
	}
	return r
}

func labelsOf(labels map[string]string) []string {
	var said []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		said = append(said, key+"="+labels[key])
	}
	return said
}

// waiting is the members that wait for approval, for who may give it.
func waiting(f frame) []view.Member {
	if !f.Admin() {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(f.Snapshot.Members), func(m view.Member) bool { return !m.Waiting })
}

// membersPage is who has joined, those that wait first.
type membersPage struct {
	frame
	Rows []memberRow
}

func (d *Dashboard) serveMembers(w http.ResponseWriter, r *http.Request) {
	d.render(w, http.StatusOK, "members.html", membersOf(d.frame(r, "Members")))
}

func membersOf(f frame) membersPage {
	page := membersPage{frame: f}
	for _, m := range f.Snapshot.Members {
		page.Rows = append(page.Rows, rowOf(m, f.Snapshot))
	}
	slices.SortStableFunc(page.Rows, func(a, b memberRow) int { return cmp.Compare(oneIf(b.Waiting), oneIf(a.Waiting)) })
	return page
}

// serveTell does what a form says about a member.
func (d *Dashboard) serveTell(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	action := access.Action(r.PostFormValue("action"))
	if !slices.Contains([]access.Action{access.Approve, access.Revoke, access.AllowRejoin}, action) {
		d.serveMessage(w, r, http.StatusBadRequest, "Nothing was done", fmt.Sprintf("%q is nothing that can be done with a member.", action))
		return
	}
	if action == access.Revoke && r.PostFormValue("agree") == "" {
		d.serveMessage(w, r, http.StatusBadRequest, "Nothing was done", "Say that you mean to cut the cluster off.")
		return
	}
	cluster, err := fleet.ParseClusterName(r.PostFormValue("cluster"))
	if err == nil {
		err = d.People.Tell(r.Context(), action, cluster)
	}
	if err != nil {
		d.serveMessage(w, r, statusOf(err), "Nothing was done", err.Error())
		return
	}
	to := "/members"
	if r.PostFormValue("back") == "joining" {
		to = "/joining/" + string(cluster)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// statusOf is the status of why something was not done.
func statusOf(err error) int {
	if errors.Is(err, access.ErrScope) {
		return http.StatusForbidden
	}
	return http.StatusConflict
}

// addPage is the form that adds a cluster.
type addPage struct {
	frame
	Wrong   string // what is wrong with what was sent
	Name    string
	Labels  string
	Life    string
	Approve bool
	// Namespaces are those that the agent is let into; empty: the whole cluster.
	Namespaces string
	Lives      []string
}

// lives are how long a token may be good, as the form offers it.
var lives = []string{"1h", "8h", "24h", "72h", "168h"}

func (d *Dashboard) serveAdd(w http.ResponseWriter, r *http.Request) {
	f := d.frame(r, "Add a cluster")
	d.render(w, http.StatusOK, "add.html", addPage{frame: f, Name: r.URL.Query().Get("cluster"), Life: lives[0], Lives: lives})
}

// serveInvite makes a token and shows the line with it, once.
func (d *Dashboard) serveInvite(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	form := addPage{
		Name: strings.TrimSpace(r.PostFormValue("cluster")), Labels: strings.TrimSpace(r.PostFormValue("labels")),
		Life: r.PostFormValue("life"), Approve: r.PostFormValue("approve") != "", Lives: lives,
		Namespaces: r.PostFormValue("namespaces"),
	}
	invitation, err := form.invitation(d.Now())
	line, status := "", http.StatusBadRequest
	if err == nil {
		if line, err = d.People.Invite(r.Context(), invitation, addressOf(r)); err != nil {
			status = statusOf(err)
		}
	}
	if err != nil {
		form.frame, form.Wrong = d.frame(r, "Add a cluster"), err.Error()
		form.Still = true
		d.render(w, status, "add.html", form)
		return
	}
	page := joiningOf(invitation.Cluster, d.Now(), d.frame(r, "Adding "+string(invitation.Cluster)))
	page.Line, page.Expires = line, page.Ago(invitation.Expires)
	page.Address = fmt.Sprintf("/joining/%s?since=%d", invitation.Cluster, page.Now.UnixMilli())
	d.render(w, http.StatusOK, "joining.html", page)
}

// invitation reads the form.
func (f addPage) invitation(now time.Time) (wire.Invitation, error) {
	cluster, err := fleet.ParseClusterName(f.Name)
	if err != nil {
		return wire.Invitation{}, err
	}
	if !slices.Contains(lives, f.Life) {
		return wire.Invitation{}, fmt.Errorf("%q is not how long a token can be good: want one of %s", f.Life, strings.Join(lives, ", "))
	}
	life, err := time.ParseDuration(f.Life)
	if err != nil {
		return wire.Invitation{}, err
	}
	labels, err := parseLabels(f.Labels)
	if err != nil {
		return wire.Invitation{}, err
	}
	return wire.Invitation{Cluster: cluster, Expires: now.Add(life), Approve: f.Approve, Labels: labels, Namespaces: parseNamespaces(f.Namespaces)}, nil
}

// parseNamespaces reads names as in "shop, blog", and returns each once, sorted.
func parseNamespaces(text string) []string {
	names := strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' })
	slices.Sort(names)
	return slices.Compact(names)
}

// parseLabels reads labels as in "env=prod, site=ham".
func parseLabels(text string) (map[string]string, error) {
	if text == "" {
		return nil, nil
	}
	labels := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%q is no label: write them as in env=prod,site=ham", part)
		}
		labels[key] = value
	}
	return labels, nil
}

// addressOf is the address of the dashboard as who asks knows it.
func addressOf(r *http.Request) string {
	u := url.URL{Scheme: "http", Host: r.Host}
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		u.Scheme = "https"
	}
	return u.String()
}

// joiningPage follows a cluster that is to join.
type joiningPage struct {
	frame
	Cluster fleet.ClusterName
	Line    string // empty: it was shown once
	Expires moment
	State   joining
	Row     memberRow
}

// joining is how far a cluster is.
type joining struct {
	Mark    mark
	Waiting bool // for approval
	Blocked bool // another agent of this name is known
	Done    bool
}

func (d *Dashboard) serveJoining(w http.ResponseWriter, r *http.Request) {
	cluster, err := fleet.ParseClusterName(r.PathValue("name"))
	if err != nil {
		d.serveMessage(w, r, http.StatusNotFound, "No such cluster", err.Error())
		return
	}
	since, _ := strconv.ParseInt(r.URL.Query().Get("since"), 10, 64) // 0: whenever it joined
	page := joiningOf(cluster, time.UnixMilli(since), d.frame(r, "Adding "+string(cluster)))
	d.render(w, http.StatusOK, "joining.html", page)
}

// joiningOf says how far a cluster is whose token was made at a time. Seconds are
// enough: who joined in the same one has joined with that token.
func joiningOf(cluster fleet.ClusterName, made time.Time, f frame) joiningPage {
	page := joiningPage{frame: f, Cluster: cluster}
	m, member := f.Snapshot.Member(cluster)
	c, known := f.Snapshot.Cluster(cluster)
	before := member && m.Joined.Before(made.Truncate(time.Second))
	if member {
		page.Row = rowOf(m, f.Snapshot)
	}
	switch {
	case !member, before && m.Rejoin:
		page.State = joining{Mark: mark{"pending", "Not yet", "Nobody has come with this token."}}
	case before:
		page.State = joining{Blocked: true, Mark: mark{"failed", "The name is taken", fmt.Sprintf(
			"A cluster of this name joined before. Its agent has another key than a new one would have, which is refused until you allow that %s joins again.", cluster)}}
	case m.Waiting:
		page.State = joining{Waiting: true, Mark: mark{"held", "Waits for approval", "The agent has come. It is let in when you approve it."}}
	case !m.Revoked.IsZero():
		page.State = joining{Blocked: true, Mark: mark{"failed", "Cut off", "It was let in, and cut off since."}}
	case known && c.Connected:
		page.State = joining{Done: true, Mark: mark{"ready", "Connected", "The agent reports."}}
	default:
		page.State = joining{Mark: mark{"progressing", "Let in", "The agent has its credentials, and has not reported yet."}}
	}
	return page
}
