package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/access"
	"github.com/navarch/navarch/hub/dashboard"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/hub/gate"
	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/manifests"
	"github.com/navarch/navarch/wire"
)

// Access says how people come to the dashboard and the API. Its zero value lets in
// those who have an access token, and whoever is on the hub's machine where the hub
// listens there only.
type Access struct {
	File  string // access file; empty: none
	Audit string // file of the audit log; default gate.JournalName beside the file of members
}

// people does what people say who may, and writes it down.
type people struct {
	config   Config
	settings gate.Settings
	door     *door
	deployer *deployer
	journal  *gate.Journal
	gate     *gate.Gate
	refuse   func(w http.ResponseWriter, r *http.Request, status int, title, message string)
}

func newPeople(c Config, d *deployer, door *door) (*people, error) {
	p := &people{config: c, door: door, deployer: d}
	var err error
	if c.Access.File != "" {
		if p.settings, err = gate.ReadFile(c.Access.File); err != nil {
			return nil, fmt.Errorf("%w (of --access)", err)
		}
	}
	if p.journal, err = gate.OpenJournal(c.Access.Audit, c.Log); err != nil {
		return nil, err
	}
	door.journal = p.journal
	door.desk.Watch(func(roll enrol.Roll) { d.board.Members(membersOf(roll)) })
	p.gate, err = gate.New(gate.Config{
		Settings: p.settings,
		Open:     c.Access.File == "" && gate.LoopbackOnly(c.Listen),
		Keys:     door.identity.TokenKeys,
		Journal:  p.journal,
		Refuse: func(w http.ResponseWriter, r *http.Request, status int, title, message string) {
			p.refuse(w, r, status, title, message)
		},
		Log: c.Log,
	})
	return p, err
}

// routes are all that the hub serves, each with the role that it takes.
func (p *people) routes(pages *dashboard.Dashboard, webhook http.Handler) []access.Route {
	routes := append(pages.Routes(),
		access.Route{Pattern: "GET /api/v1/explain/{app}", Need: access.Viewers, Handler: p.deployer.explain},
		access.Route{Pattern: "GET /api/v1/observed", Need: access.Viewers, Handler: p.deployer.tellObserved},
		access.Route{Pattern: "GET /install/{token}", Need: access.Anyone, Handler: p.door.install}, // the token says who may
		access.Route{Pattern: "POST /api/v1/members", Need: access.Anyone, Handler: p.door.members}, // the signature does
	)
	if webhook != nil {
		routes = append(routes, access.Route{Pattern: "/webhook", Need: access.Anyone, Handler: webhook.ServeHTTP}) // and here too
	}
	return append(routes, p.gate.Routes()...)
}

// guard puts routes behind the gate.
func (p *people) guard(pages *dashboard.Dashboard, routes []access.Route) (http.Handler, error) {
	p.refuse = pages.Refuse
	guarded, err := p.gate.Handler(routes)
	if err != nil {
		return nil, err
	}
	return dashboard.Secure(guarded), nil
}

func (p *people) forDashboard() dashboard.People {
	return dashboard.People{Provider: p.gate.Provider(), Invite: p.invite, Tell: p.tell, Audit: p.journal.Newest}
}

// record writes down what a caller did, or was refused, and returns the refusal.
func (p *people) record(ctx context.Context, action access.Action, on string, err error) error {
	p.journal.Write(access.EntryOf(access.Of(ctx), action, on, err, time.Now()))
	return err
}

// release is a person's go for a held commit, if everything that it touches is in the
// person's scope.
func (p *people) release(ctx context.Context, revision string) error {
	rights := access.Of(ctx).Rights
	err := p.deployer.releaseIf(ctx, revision, func(ctx context.Context, d *deployer) error { return mayRelease(ctx, d, rights) })
	return p.record(ctx, access.Release, revision, err)
}

// invite makes a token for a cluster.
func (p *people) invite(ctx context.Context, i wire.Invitation, address string) (string, error) {
	line, err := p.makeLine(ctx, i, address)
	return line, p.record(ctx, access.MakeToken, string(i.Cluster), err)
}

func (p *people) makeLine(ctx context.Context, i wire.Invitation, address string) (string, error) {
	if !p.mayAdmin(ctx, i.Cluster) {
		return "", fmt.Errorf("you may not add cluster %q, which Git does not name or labels otherwise: %w (an admin of the whole fleet may)", i.Cluster, access.ErrScope)
	}
	if slices.Contains(i.Namespaces, manifests.DefaultNamespace) {
		return "", fmt.Errorf("namespace %q is the agent's own: it keeps its key there, and apps have no business in it", manifests.DefaultNamespace)
	}
	token, err := p.door.identity.NewToken(i)
	if err != nil {
		return "", err
	}
	if p.settings.URL != nil {
		address = p.settings.URL.String()
	}
	return token.Line(address), nil
}

// verbs are the actions that the desk knows, in its words.
var verbs = map[access.Action]string{
	access.Approve: enrol.VerbApprove, access.Revoke: enrol.VerbRevoke, access.AllowRejoin: enrol.VerbAllowRejoin,
}

// tell does what a person says about a member. One that is outside of the person's
// scope answers as one that has never joined.
func (p *people) tell(ctx context.Context, action access.Action, cluster fleet.ClusterName) error {
	verb, ok := verbs[action]
	var err error
	switch {
	case !ok:
		err = fmt.Errorf("%q is nothing that can be done with a member", action)
	case !p.mayAdmin(ctx, cluster):
		err = fmt.Errorf("no cluster %q has joined: %w", cluster, access.ErrScope)
	default:
		_, err = p.door.desk.Tell(verb, cluster, time.Now())
	}
	return p.record(ctx, action, string(cluster), err)
}

// mayAdmin tells whether who asks may decide that a cluster is a member. Its labels
// are those in Git by what is announced; one without is for admins of the whole fleet.
func (p *people) mayAdmin(ctx context.Context, cluster fleet.ClusterName) bool {
	rights := access.Of(ctx).Rights
	c, ok := p.deployer.board.Snapshot(time.Now()).Cluster(cluster)
	if !ok || !c.InGit {
		return rights.Whole(access.Admin)
	}
	return rights.WholeCluster(access.Admin, c.Labels)
}

// membersOf is a roll as the board shows it.
func membersOf(roll enrol.Roll) []view.Member {
	members := make([]view.Member, 0, len(roll.Members))
	for _, name := range sortedKeys(roll.Members) {
		m := roll.Members[name]
		members = append(members, view.Member{
			Name: name, Joined: m.Joined, Expires: m.Expires, Waiting: m.Waiting, Revoked: m.Revoked, Rejoin: m.Rejoin, Labels: m.Labels,
		})
	}
	return members
}

// identityName is who holds the hub's identity.
const identityName = "identity"

// command does what a sealed command says and writes it down.
func (d *door) command(r *http.Request, sealed []byte, now time.Time) (enrol.Roll, error) {
	c, err := d.desk.Open(sealed, now)
	var roll enrol.Roll
	action := access.Command
	if err == nil {
		roll, err = d.desk.Tell(c.Verb, c.Cluster, now)
		action = access.Action(c.Verb)
	}
	if d.journal != nil && (err != nil || c.Verb != enrol.VerbList) {
		caller := access.Caller{From: access.Of(r.Context()).From, Via: access.Of(r.Context()).Via}
		if !errors.Is(err, enrol.ErrCommand) {
			caller.Person = access.Person{Name: identityName, By: access.ByIdentity}
		}
		d.journal.Write(access.EntryOf(caller, action, string(c.Cluster), err, now))
	}
	return roll, err
}
