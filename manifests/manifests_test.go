package manifests_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/navarch/navarch/manifests"
)

var update = flag.Bool("update", false, "rewrite the goldens")

func agentConfig() manifests.AgentConfig {
	return manifests.AgentConfig{
		Cluster: "eu-1",
		Hub:     []string{"tls://hub.example.com:4222", "tls://10.0.0.7:4222"},
		HubKey:  []byte("0123456789abcdef0123456789abcdef"),
		Token:   "nvt1.c2VlZA.e30.c2ln",
		Door:    []byte("-----BEGIN NATS USER JWT-----\neyJ0\n------END NATS USER JWT------\n"),
		CA:      []byte("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
		Image:   "registry.example.com/navarch-agent:1.2.3",
	}
}

// limitedConfig is that of an agent that is let into two namespaces.
func limitedConfig() manifests.AgentConfig {
	c := agentConfig()
	c.Namespace, c.Namespaces, c.Image = "navarch", []string{"blog", "shop"}, "registry.example.com:5000/navarch-agent:1.2.3@sha256:"+strings.Repeat("ab", 32)
	return c
}

func hubConfig() manifests.HubConfig {
	return manifests.HubConfig{
		Repo:          "https://git.example.com/100%/fleet $(x).git",
		Branch:        "live",
		Git:           manifests.HubGit{Username: "deploy", Password: "swordfish"},
		WebhookSecret: "open sesame",
		Hosts:         []string{"hub.example.com", "10.0.0.7"},
		Identity:      map[string][]byte{"signing.key": []byte("-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n"), "raw": {0xff, 0x00}},
		Image:         "registry.example.com/navarch-hub:1.2.3",
		AgentImage:    "registry.example.com/navarch-agent:1.2.3",
		Namespace:     "fleet",
	}
}

func TestGoldens(t *testing.T) {
	goldens := map[string]func() ([]byte, error){
		"agent.yaml":            func() ([]byte, error) { return manifests.Agent(agentConfig()) },
		"agent-namespaces.yaml": func() ([]byte, error) { return manifests.Agent(limitedConfig()) },
		"hub.yaml":              func() ([]byte, error) { return manifests.Hub(hubConfig()) },
		"navarch-hub.service":   func() ([]byte, error) { return manifests.Unit(hubConfig()) },
		"hub-files.service":     func() ([]byte, error) { return manifests.Unit(filesConfig()) },
	}
	for name, render := range goldens {
		t.Run(name, func(t *testing.T) {
			got, err := render()
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("run with -update if this is meant (-want +got):\n%s", diff)
			}
			again, err := render()
			if err != nil || !bytes.Equal(got, again) {
				t.Errorf("the same configuration gave other bytes, error %v", err)
			}
		})
	}
}

// TestKubernetesKnowsEveryField decodes what we print as Kubernetes' own types do.
func TestKubernetesKnowsEveryField(t *testing.T) {
	agent, err := manifests.Agent(agentConfig())
	if err != nil {
		t.Fatal(err)
	}
	limited, err := manifests.Agent(limitedConfig())
	if err != nil {
		t.Fatal(err)
	}
	hub, err := manifests.Hub(hubConfig())
	if err != nil {
		t.Fatal(err)
	}
	full, err := manifests.Hub(filesConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range slices.Concat(split(t, agent), split(t, limited), split(t, hub), split(t, full)) {
		into := typed(t, object)
		if err := yaml.UnmarshalStrict(object, into); err != nil {
			t.Errorf("%v\n%s", err, object)
		}
	}
}

func TestSecretsArriveAsGiven(t *testing.T) {
	c := hubConfig()
	manifest, err := manifests.Hub(c)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]byte{}
	for _, object := range split(t, manifest) {
		var secret corev1.Secret
		if err := yaml.Unmarshal(object, &secret); err != nil || secret.Name != "navarch-hub-identity" || secret.Kind != "Secret" {
			continue
		}
		for key, value := range secret.StringData {
			got[key] = []byte(value)
		}
		for key, value := range secret.Data {
			got[key] = value
		}
	}
	if diff := cmp.Diff(c.Identity, got); diff != "" {
		t.Errorf("identity in the Secret (-want +got):\n%s", diff)
	}
}

// TestPodsRestartWhenTheirConfigurationChanges compares pod templates only.
func TestPodsRestartWhenTheirConfigurationChanges(t *testing.T) {
	changes := map[string]func(*manifests.AgentConfig){
		"cluster": func(c *manifests.AgentConfig) { c.Cluster = "eu-2" },
		"hub":     func(c *manifests.AgentConfig) { c.Hub = c.Hub[:1] },
		"key":     func(c *manifests.AgentConfig) { c.HubKey = []byte("another") },
		"token":   func(c *manifests.AgentConfig) { c.Token = "another" },
		"door":    func(c *manifests.AgentConfig) { c.Door = []byte("another") },
		"CA":      func(c *manifests.AgentConfig) { c.CA = []byte("another") },
		"rights":  func(c *manifests.AgentConfig) { c.Namespaces = []string{"shop"} },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			c := agentConfig()
			before := podTemplate(t, c)
			change(&c)
			if after := podTemplate(t, c); cmp.Equal(before, after) {
				t.Error("the pod template stayed the same")
			}
		})
	}
}

func TestIncomplete(t *testing.T) {
	tests := map[string]struct {
		render func() ([]byte, error)
		want   string
	}{
		"agent without cluster": {
			render: func() ([]byte, error) { c := agentConfig(); c.Cluster = ""; return manifests.Agent(c) },
			want:   "the agent's manifest needs the name of its cluster",
		},
		"agent without hub": {
			render: func() ([]byte, error) { c := agentConfig(); c.Hub = nil; return manifests.Agent(c) },
			want:   "the agent's manifest needs the URL of the hub",
		},
		"agent without CA": {
			render: func() ([]byte, error) { c := agentConfig(); c.CA = nil; return manifests.Agent(c) },
			want:   "the agent's manifest needs the hub's key, a token with its door and the hub's certificate authority",
		},
		"agent let into its own namespace": {
			render: func() ([]byte, error) {
				c := agentConfig()
				c.Namespaces = []string{"navarch-system"}
				return manifests.Agent(c)
			},
			want: `namespace "navarch-system" is the agent's own: it keeps its key there, and apps have no business in it`,
		},
		"hub without identity": {
			render: func() ([]byte, error) { c := hubConfig(); c.Identity = nil; return manifests.Hub(c) },
			want:   "the hub's manifest needs the hub's identity",
		},
		"hub without repository": {
			render: func() ([]byte, error) { c := hubConfig(); c.Repo = ""; return manifests.Unit(c) },
			want:   "the hub needs the URL of its repository",
		},
		"host with port": {
			render: func() ([]byte, error) { c := hubConfig(); c.Hosts = []string{"hub:4222"}; return manifests.Hub(c) },
			want:   `host "hub:4222" is neither a name nor an address: give it without scheme and port`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := test.render(); err == nil || err.Error() != test.want {
				t.Errorf("got error %v, want %q", err, test.want)
			}
		})
	}
}

// TestStockKustomizeBuildsTheBases needs the kustomize binary that make builds.
func TestStockKustomizeBuildsTheBases(t *testing.T) {
	kustomize := os.Getenv("NAVARCH_KUSTOMIZE")
	if _, err := os.Stat(kustomize); err != nil {
		t.Skip("NAVARCH_KUSTOMIZE names no kustomize: make test builds it")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, manifests.Bases()); err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{"agent", "namespace", "hub"} {
		built, err := exec.CommandContext(t.Context(), kustomize, "build", filepath.Join(dir, base)).Output()
		if err != nil {
			t.Fatalf("kustomize build %s: %v", base, err)
		}
		var want [][]byte
		entries, err := fs.Glob(manifests.Bases(), base+"/*.yaml")
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if strings.HasSuffix(entry, "kustomization.yaml") {
				continue
			}
			content, err := fs.ReadFile(manifests.Bases(), entry)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, split(t, content)...)
		}
		if diff := cmp.Diff(canonical(t, want), canonical(t, split(t, built))); diff != "" {
			t.Errorf("base %q, as written and as built (-written +built):\n%s", base, diff)
		}
	}
}

// TestProgramsKnowTheirFlags builds both programs and has them parse what the
// manifests say to them.
func TestProgramsKnowTheirFlags(t *testing.T) {
	if testing.Short() {
		t.Skip("builds two programs")
	}
	hub, err := manifests.Hub(hubConfig())
	if err != nil {
		t.Fatal(err)
	}
	unit, err := manifests.Unit(hubConfig())
	if err != nil {
		t.Fatal(err)
	}
	var command []string
	for line := range strings.Lines(string(unit)) {
		if arg := strings.Trim(line, " \\\"\n"); strings.HasPrefix(arg, "--") {
			command = append(command, arg)
		}
	}
	said := map[string][][]string{
		"agent": {podTemplate(t, agentConfig()).Spec.Containers[0].Args},
		"hub":   {command},
	}
	full, err := manifests.Hub(filesConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range append(split(t, hub), split(t, full)...) {
		if set, ok := typed(t, object).(*appsv1.StatefulSet); ok {
			if err := yaml.UnmarshalStrict(object, set); err != nil {
				t.Fatal(err)
			}
			said["hub"] = append(said["hub"], set.Spec.Template.Spec.Containers[0].Args)
		}
	}
	for name, commands := range said {
		program := filepath.Join(t.TempDir(), name)
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../cmd/"+name).CombinedOutput(); err != nil {
			t.Fatalf("build cmd/%s: %v\n%s", name, err, out)
		}
		for _, args := range commands {
			if len(args) == 0 {
				t.Errorf("cmd/%s: the manifest gives no arguments", name)
			}
			args = append(slices.Clone(args), "-h") // parses everything before it, and runs nothing
			if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
				t.Errorf("cmd/%s %q: %v\n%s", name, args, err, out)
			}
		}
	}
}

func canonical(t *testing.T, objects [][]byte) []string {
	t.Helper()
	var all []string
	for _, object := range objects {
		json, err := yaml.YAMLToJSON(object)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(json))
	}
	slices.Sort(all)
	return all
}

func podTemplate(t *testing.T, c manifests.AgentConfig) corev1.PodTemplateSpec {
	t.Helper()
	manifest, err := manifests.Agent(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range split(t, manifest) {
		if deployment, ok := typed(t, object).(*appsv1.Deployment); ok {
			if err := yaml.UnmarshalStrict(object, deployment); err != nil {
				t.Fatal(err)
			}
			return deployment.Spec.Template
		}
	}
	t.Fatal("the manifest has no Deployment")
	return corev1.PodTemplateSpec{}
}

func split(t *testing.T, manifest []byte) [][]byte {
	t.Helper()
	var objects [][]byte
	for reader := utilyaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(manifest))); ; {
		buffer := make([]byte, len(manifest))
		n, err := reader.Read(buffer)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(buffer[:n]), "kind:") {
			objects = append(objects, buffer[:n])
		}
	}
}

func typed(t *testing.T, object []byte) any {
	t.Helper()
	var meta struct{ Kind string }
	if err := yaml.Unmarshal(object, &meta); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]any{
		"ClusterRoleBinding": &rbacv1.ClusterRoleBinding{},
		"Deployment":         &appsv1.Deployment{},
		"Namespace":          &corev1.Namespace{},
		"NetworkPolicy":      &networkingv1.NetworkPolicy{},
		"Role":               &rbacv1.Role{},
		"RoleBinding":        &rbacv1.RoleBinding{},
		"Secret":             &corev1.Secret{},
		"Service":            &corev1.Service{},
		"ServiceAccount":     &corev1.ServiceAccount{},
		"StatefulSet":        &appsv1.StatefulSet{},
	}
	if kinds[meta.Kind] == nil {
		t.Fatalf("no type for kind %q", meta.Kind)
	}
	return kinds[meta.Kind]
}
