package manifests

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// HubConfig is what a hub needs to know. Repo and Identity are required, the
// latter not for [Unit]; Branch defaults to main, Namespace to [DefaultNamespace],
// Image to that of the base.
type HubConfig struct {
	Repo          string
	Branch        string
	GitUsername   string
	GitPassword   string   // or token
	WebhookSecret string   // empty: no webhooks
	Hosts         []string // names and addresses under which agents reach the hub
	Identity      map[string][]byte
	Image         string
	Namespace     string
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
	secrets := c.secrets()
	edits := []edit{
		{"StatefulSet", "navarch-hub", "spec.template.spec.containers.0.args", args},
		{"StatefulSet", "navarch-hub", "spec.template.metadata.annotations", configAnnotation(c.Identity, secrets)},
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
	if len(secrets) > 0 {
		if err := base.add(secret("navarch-hub", "navarch-hub", secrets)); err != nil {
			return nil, err
		}
	}
	base.move(c.Namespace)
	return base.encode("The hub. It holds the hub's identity, which can deploy to every member cluster: keep it as you keep a root password.")
}

// Unit returns a systemd unit for a hub. It holds no secret: those go to the file
// that its comment names.
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
	for i, line := range lines {
		if strings.HasPrefix(line, "ExecStart=") {
			lines[i] = strings.Join(command, " \\\n    ")
			return []byte(strings.Join(lines, "\n")), nil
		}
	}
	return nil, errors.New("the systemd unit has no line ExecStart")
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
	if c.GitUsername != "" {
		args = append(args, "--git-username="+c.GitUsername)
	}
	for _, host := range c.Hosts {
		if host == "" || strings.ContainsAny(host, "/, ") || strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return nil, fmt.Errorf("host %q is neither a name nor an address: give it without scheme and port", host)
		}
	}
	if len(c.Hosts) > 0 {
		args = append(args, "--hosts="+strings.Join(c.Hosts, ","))
	}
	return args, nil
}

func (c HubConfig) secrets() map[string][]byte {
	secrets := map[string][]byte{}
	if c.GitPassword != "" {
		secrets["git-password"] = []byte(c.GitPassword)
	}
	if c.WebhookSecret != "" {
		secrets["webhook-secret"] = []byte(c.WebhookSecret)
	}
	return secrets
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
