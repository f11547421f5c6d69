package manifests_test

import (
	"bytes"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/navarch/navarch/manifests"
)

// filesConfig is that of a hub with everything that comes from files. No hub has all
// of it: one reaches its repository in one way.
func filesConfig() manifests.HubConfig {
	c := ownServers()
	c.AgentURLs = []string{"tls://hub.example.com:443"}
	c.Access = map[string][]byte{manifests.AccessName: []byte("url: https://hub.example.com\n"), "oidc-secret": []byte("hush-access")}
	c.Git = manifests.HubGit{
		Username: "deploy", Password: "hush-password", CA: []byte("ca"), SSHKey: []byte("hush-key"), SSHPassphrase: []byte("hush-passphrase"),
		KnownHosts: []byte("hosts"), AppID: "4711", Installation: "77", AppKey: []byte("hush-app"), API: "https://github.example.com/api/v3",
		Verify: "both", VerifyKeys: map[string][]byte{"ada.pub": []byte("ssh-ed25519 AAAA"), "grace.asc": {0xff}},
	}
	c.WebhookSecret = "hush-webhook"
	return c
}

// hubPod is the pod of a hub with what its Secrets hold.
type hubPod struct {
	spec    corev1.PodSpec
	secrets map[string]map[string][]byte
}

func podOf(t *testing.T, c manifests.HubConfig) hubPod {
	t.Helper()
	manifest, err := manifests.Hub(c)
	check(t, err)
	p := hubPod{spec: hubOf(t, c).set.Spec.Template.Spec, secrets: map[string]map[string][]byte{}}
	for _, object := range split(t, manifest) {
		var s corev1.Secret
		if _, ok := typed(t, object).(*corev1.Secret); !ok {
			continue
		}
		check(t, yaml.UnmarshalStrict(object, &s))
		p.secrets[s.Name] = s.Data
		if s.Data == nil {
			p.secrets[s.Name] = map[string][]byte{}
		}
		for name, text := range s.StringData {
			p.secrets[s.Name][name] = []byte(text)
		}
	}
	return p
}

// files are what a pod finds where its volumes of Secrets are mounted, by path. The
// folders are in it too, without content.
func (p hubPod) files(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, mount := range p.spec.Containers[0].VolumeMounts {
		i := slices.IndexFunc(p.spec.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
		if i < 0 {
			continue // of a claim
		}
		s := p.spec.Volumes[i].Secret
		if s == nil || s.DefaultMode == nil || *s.DefaultMode != 0o440 || !mount.ReadOnly || mount.SubPath != "" {
			t.Errorf("%s is mounted as %+v from %+v", mount.MountPath, mount, p.spec.Volumes[i])
			continue
		}
		files[mount.MountPath] = nil
		for name, content := range p.secrets[s.SecretName] {
			files[path.Join(mount.MountPath, name)] = content
		}
	}
	return files
}

// TestEveryFileIsWhereItsFlagSays: each file that an argument names is in the pod, with
// the content that it was given, and nothing that is secret is anywhere else.
func TestEveryFileIsWhereItsFlagSays(t *testing.T) {
	c := filesConfig()
	p := podOf(t, c)
	files := p.files(t)
	container := p.spec.Containers[0]
	named := map[string]string{}
	for _, arg := range container.Args {
		if flag, value, _ := strings.Cut(arg, "="); strings.HasPrefix(value, "/etc/navarch/") {
			named[strings.TrimPrefix(flag, "--")] = value
		}
	}
	want := map[string][]byte{
		"git-password-file": []byte(c.Git.Password), "git-ca-file": c.Git.CA, "git-ssh-key-file": c.Git.SSHKey, "git-ssh-passphrase-file": c.Git.SSHPassphrase,
		"git-known-hosts-file": c.Git.KnownHosts, "github-key-file": c.Git.AppKey, "webhook-secret-file": []byte(c.WebhookSecret), "nats-ca": c.NATSCA,
		"access": c.Access[manifests.AccessName], "verify-keys": nil, "identity": nil,
	}
	if got, want := slices.Sorted(maps.Keys(named)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
		t.Errorf("arguments name files with %q, want %q", got, want)
	}
	for flag, content := range want {
		got, ok := files[named[flag]]
		if !ok || !bytes.Equal(got, content) {
			t.Errorf("--%s=%s: %q, want %q", flag, named[flag], got, content)
		}
	}
	for beside, content := range map[string][]byte{
		path.Join(path.Dir(named["access"]), "oidc-secret"): c.Access["oidc-secret"], path.Join(named["verify-keys"], "grace.asc"): {0xff},
		path.Join(named["verify-keys"], "ada.pub"): c.Git.VerifyKeys["ada.pub"],
	} {
		if !bytes.Equal(files[beside], content) {
			t.Errorf("%s: %q", beside, files[beside])
		}
	}
	for _, arg := range []string{"--github-app-id=4711", "--github-installation-id=77", "--github-api-url=https://github.example.com/api/v3", "--verify=both", "--agent-urls=tls://hub.example.com:443"} {
		if !slices.Contains(container.Args, arg) {
			t.Errorf("the hub is not told %s: %q", arg, container.Args)
		}
	}
	if len(container.Env)+len(container.EnvFrom) > 0 || strings.Contains(strings.Join(container.Args, " "), "hush-") {
		t.Errorf("a secret is where others can read it: %q %v", container.Args, container.Env)
	}
}

// TestPodIsRestricted: more volumes take nothing from what confines the pod.
func TestPodIsRestricted(t *testing.T) {
	p := podOf(t, filesConfig())
	s := p.spec.Containers[0].SecurityContext
	if !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || len(s.Capabilities.Drop) != 1 || !*p.spec.SecurityContext.RunAsNonRoot {
		t.Errorf("%+v %+v", s, p.spec.SecurityContext)
	}
	for _, v := range p.spec.Volumes {
		if v.Secret == nil || v.Secret.SecretName != "navarch-hub-identity" && !*v.Secret.Optional {
			t.Errorf("volume %q is none of a Secret that may be missing", v.Name)
		}
	}
}

// TestHubRestartsWhenAFileChanges: what is read once is read again.
func TestHubRestartsWhenAFileChanges(t *testing.T) {
	before := hubOf(t, filesConfig()).set.Spec.Template.Annotations["navarch.dev/config"]
	for name, change := range map[string]func(*manifests.HubConfig){
		"access":     func(c *manifests.HubConfig) { c.Access["oidc-secret"] = []byte("another") },
		"key":        func(c *manifests.HubConfig) { c.Git.SSHKey = []byte("another") },
		"who signs":  func(c *manifests.HubConfig) { c.Git.VerifyKeys["eve.pub"] = []byte("another") },
		"password":   func(c *manifests.HubConfig) { c.Git.Password = "another" },
		"identity":   func(c *manifests.HubConfig) { c.Identity["raw"] = []byte("another") },
		"of GitHub":  func(c *manifests.HubConfig) { c.Git.AppKey = []byte("another") },
		"of webhook": func(c *manifests.HubConfig) { c.WebhookSecret = "another" },
	} {
		c := filesConfig()
		change(&c)
		if after := hubOf(t, c).set.Spec.Template.Annotations["navarch.dev/config"]; after == before || after == "" {
			t.Errorf("%s: the pod template stayed the same", name)
		}
	}
}

// TestNoSuchSecret: what Kubernetes would refuse is refused before.
func TestNoSuchSecret(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*manifests.HubConfig)
		want   string
	}{
		"name":           {func(c *manifests.HubConfig) { c.Git.VerifyKeys["a da.pub"] = []byte("x") }, `the file "a da.pub" cannot be in a Secret`},
		"size":           {func(c *manifests.HubConfig) { c.Git.VerifyKeys["big"] = make([]byte, 1<<20) }, `the Secret "navarch-hub-verify-keys" would hold`},
		"no access file": {func(c *manifests.HubConfig) { delete(c.Access, manifests.AccessName) }, `no "access.yaml"`},
		"nobody signs":   {func(c *manifests.HubConfig) { c.Git.VerifyKeys = nil }, "belong together"},
	} {
		c := filesConfig()
		test.change(&c)
		if _, err := manifests.Hub(c); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
