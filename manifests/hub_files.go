package manifests

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"
)

// HubGit is how a hub reaches its repository, and what has to be signed there. Each
// field that is empty is left out.
type HubGit struct {
	Username      string
	Password      string // or token
	CA            []byte // PEM that the server's certificate is checked against
	SSHKey        []byte
	SSHPassphrase []byte
	KnownHosts    []byte
	AppID         string // of a GitHub App
	Installation  string // of that App
	AppKey        []byte
	API           string            // URL of GitHub's
	Verify        string            // commits, tags or both
	VerifyKeys    map[string][]byte // files with the keys that may sign, by name
}

// AccessName is the name of the access file in [HubConfig.Access].
const AccessName = "access.yaml"

// maxSecret is how many bytes Kubernetes takes in one Secret.
const maxSecret = 1 << 20

// folder is one that a hub has its files in: in a pod it is a Secret.
type folder struct {
	secret, path string
	files        map[string][]byte
}

// setting is a file in the folder of settings, and the flag that names it.
type setting struct {
	flag, name string
	content    []byte
}

const settingsPath = "/etc/navarch/hub"

func (c HubConfig) settings() []setting {
	all := []setting{
		{"git-password-file", "git-password", []byte(c.Git.Password)},
		{"git-ca-file", "git-ca.crt", c.Git.CA},
		{"git-ssh-key-file", "git-ssh-key", c.Git.SSHKey},
		{"git-ssh-passphrase-file", "git-ssh-passphrase", c.Git.SSHPassphrase},
		{"git-known-hosts-file", "git-known-hosts", c.Git.KnownHosts},
		{"github-key-file", "github-key", c.Git.AppKey},
		{"webhook-secret-file", "webhook-secret", []byte(c.WebhookSecret)},
		{"nats-ca", "nats-ca.crt", c.NATSCA},
	}
	return slices.DeleteFunc(all, func(s setting) bool { return len(s.content) == 0 })
}

// folders are those with something in them.
func (c HubConfig) folders() []folder {
	settings := map[string][]byte{}
	for _, s := range c.settings() {
		settings[s.name] = s.content
	}
	all := []folder{
		{"navarch-hub", settingsPath, settings},
		{"navarch-hub-access", "/etc/navarch/access", c.Access},
		{"navarch-hub-verify-keys", "/etc/navarch/verify-keys", c.Git.VerifyKeys},
	}
	return slices.DeleteFunc(all, func(f folder) bool { return len(f.files) == 0 })
}

// fileArgs name the files where the hub has them.
func (c HubConfig) fileArgs() ([]string, error) {
	if _, ok := c.Access[AccessName]; !ok && len(c.Access) > 0 {
		return nil, fmt.Errorf("there are files beside the access file, and no %q", AccessName)
	}
	if (c.Git.Verify == "") != (len(c.Git.VerifyKeys) == 0) {
		return nil, errors.New("what has to be signed and the keys that may sign belong together: one of them is missing")
	}
	var args []string
	for _, value := range []struct{ flag, value string }{
		{"git-username", c.Git.Username}, {"github-app-id", c.Git.AppID}, {"github-installation-id", c.Git.Installation},
		{"github-api-url", c.Git.API}, {"verify", c.Git.Verify},
	} {
		if value.value != "" {
			args = append(args, "--"+value.flag+"="+value.value)
		}
	}
	for _, s := range c.settings() {
		args = append(args, "--"+s.flag+"="+settingsPath+"/"+s.name)
	}
	for _, f := range c.folders() {
		switch f.secret {
		case "navarch-hub-access":
			args = append(args, "--access="+f.path+"/"+AccessName)
		case "navarch-hub-verify-keys":
			args = append(args, "--verify-keys="+f.path)
		}
	}
	return args, nil
}

// check refuses what no Secret can hold.
func (f folder) check() error {
	size := 0
	for name, content := range f.files {
		if why := validation.IsConfigMapKey(name); len(why) > 0 {
			return fmt.Errorf("the file %q cannot be in a Secret: give it a name of letters, digits, '-', '_' and '.'", name)
		}
		size += len(content)
	}
	if size > maxSecret {
		return fmt.Errorf("the Secret %q would hold %d bytes, and Kubernetes takes %d at most: leave out what the hub does not need", f.secret, size, maxSecret)
	}
	return nil
}

// bringing says, in the comment of a unit, which files are to be put where.
func (c HubConfig) bringing() []string {
	folders := c.folders()
	if len(folders) == 0 {
		return nil
	}
	lines := []string{"#", "# The hub reads these files, which are yours to bring:", "#"}
	for _, f := range folders {
		lines = append(lines, "#   install -d -m 0750 -g navarch "+f.path)
		for _, name := range slices.Sorted(maps.Keys(f.files)) {
			lines = append(lines, "#   install -m 0640 -g navarch FILE "+f.path+"/"+name)
		}
	}
	return lines
}
