package manifests

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
)

// HubConfig is what a hub needs to know. Repo and Identity are required, the
// latter not for [Unit], whose reader puts files where the unit says; Branch defaults to
// main, Namespace to [DefaultNamespace], Image to that of the base.
type HubConfig struct {
	Repo          string
	Branch        string
	Git           HubGit
	WebhookSecret string            // empty: no webhooks
	Access        map[string][]byte // the access file, as AccessName, and the files that it names; none: access tokens only
	Hosts         []string          // names and addresses under which agents reach the hub
	Identity      map[string][]byte
	Image         string
	AgentImage    string // in the install manifests that the hub gives; empty: that of its own build
	Namespace     string
	// AgentURLs are those under which agents reach NATS; none: made of Hosts.
	AgentURLs []string
	// WebSocket has agents reach NATS over WebSocket on port 443 too.
	WebSocket bool
	// NATSURL names NATS servers of one's own, with commas between; empty: the hub's own.
	NATSURL string
	NATSCA  []byte // PEM that their certificate is checked against; none: the system's
}

// Hub returns the manifest of a hub. It holds the hub's identity and secrets.
func Hub(c HubConfig) ([]byte, error) {
	if len(c.Identity) == 0 {
		return nil, errors.New("the hub's manifest needs the hub's identity")
	}
	args, err := c.args()
	if err != nil {
		return nil, err
	}
	base, err := readBase("hub")
	if err != nil {
		return nil, err
	}
	args = append(args, "--data=/var/lib/navarch", "--identity=/etc/navarch/identity", "--members=/var/lib/navarch/members.json", "--listen=:8080", "--nats-listen=:4222")
	for i, arg := range args {
		args[i] = strings.ReplaceAll(arg, "$(", "$$(") // no variable of Kubernetes'
	}
	contents := []map[string][]byte{c.Identity}
	for _, f := range c.folders() {
		if err := f.check(); err != nil {
			return nil, err
		}
		contents = append(contents, f.files)
	}
	if err := c.connect(&base); err != nil {
		return nil, err
	}
	edits := []edit{
		{"StatefulSet", "navarch-hub", "spec.template.spec.containers.0.args", args},
		{"StatefulSet", "navarch-hub", "spec.template.metadata.annotations", configAnnotation(contents...)},
	}
	if c.Image != "" {
		edits = append(edits, edit{"StatefulSet", "navarch-hub", "spec.template.spec.containers.0.image", c.Image})
	}
	if err := base.apply(edits); err != nil {
		return nil, err
	}
	if err := base.add(secret("navarch-hub-identity", "navarch-hub", c.Identity)); err != nil {
		return nil, err
	}
	for _, f := range c.folders() {
		if err := base.add(secret(f.secret, "navarch-hub", f.files)); err != nil {
			return nil, err
		}
	}
	base.move(c.Namespace)
	return base.encode("The hub. It holds the hub's identity, which can deploy to every member cluster: keep it as you keep a root password.")
}

// Unit returns a systemd unit for a hub. It holds no secret: its comment says which
// files belong where.
func Unit(c HubConfig) ([]byte, error) {
	args, err := c.args()
	if err != nil {
		return nil, err
	}
	command := []string{"ExecStart=/usr/local/bin/navarch-hub"}
	for _, arg := range append(args, "--data=/var/lib/navarch", "--identity=/etc/navarch/identity") {
		command = append(command, quoteForSystemd(arg))
	}
	unit, err := files.ReadFile("hub/navarch-hub.service")
	if err != nil {
		return nil, err
	}
	lines := strings.Split(string(unit), "\n")
	begin := slices.Index(lines, "[Unit]")
	start := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "ExecStart=") })
	if begin < 0 || start < begin {
		return nil, errors.New("the systemd unit has no section Unit or no line ExecStart")
	}
	lines[start] = strings.Join(command, " \\\n    ")
	return []byte(strings.Join(slices.Insert(lines, begin, c.bringing()...), "\n")), nil
}

func (c HubConfig) args() ([]string, error) {
	if c.Repo == "" {
		return nil, errors.New("the hub needs the URL of its repository")
	}
	branch := c.Branch
	if branch == "" {
		branch = "main"
	}
	args := []string{"--repo=" + c.Repo, "--branch=" + branch}
	files, err := c.fileArgs()
	if err != nil {
		return nil, err
	}
	args = append(args, files...)
	for _, host := range c.Hosts {
		if host == "" || strings.ContainsAny(host, "/, ") || strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return nil, fmt.Errorf("host %q is neither a name nor an address: give it without scheme and port", host)
		}
	}
	if len(c.Hosts) > 0 {
		args = append(args, "--hosts="+strings.Join(c.Hosts, ","))
	}
	if c.AgentImage != "" {
		args = append(args, "--agent-image="+c.AgentImage)
	}
	more, err := c.natsArgs()
	return append(args, more...), err
}

// quoteForSystemd quotes one argument of a command line in a unit, where quotes,
// percent signs and dollar signs have a meaning.
func quoteForSystemd(arg string) string {
	arg = strings.NewReplacer(`%`, `%%`, `$`, `$$`, `\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(arg)
	if strings.ContainsAny(arg, " \t\"'\\;") {
		return `"` + arg + `"`
	}
	return arg
}
