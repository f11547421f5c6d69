package manifests_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/navarch/navarch/manifests"
)

// TestStockKustomizeBuildsOneCluster needs the kustomize binary that make builds. The
// base of a cluster gives what its manifest gives, with another name for the Secret.
func TestStockKustomizeBuildsOneCluster(t *testing.T) {
	kustomize := os.Getenv("NAVARCH_KUSTOMIZE")
	if _, err := os.Stat(kustomize); err != nil {
		t.Skip("NAVARCH_KUSTOMIZE names no kustomize: make test builds it")
	}
	plain := agentConfig()
	plain.Image = ""
	for name, c := range map[string]manifests.AgentConfig{"cluster-admin": agentConfig(), "namespaces": limitedConfig(), "image of the base": plain} {
		t.Run(name, func(t *testing.T) {
			files, err := manifests.AgentBase(c)
			check(t, err)
			dir := t.TempDir()
			for name, content := range files {
				check(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
			}
			built, err := exec.CommandContext(t.Context(), kustomize, "build", dir).Output()
			if err != nil {
				t.Fatalf("kustomize build: %v", err)
			}
			printed, err := manifests.Agent(c)
			check(t, err)
			want, got := without(t, split(t, printed)), without(t, split(t, built))
			if diff := cmp.Diff(canonical(t, want.others), canonical(t, got.others)); diff != "" {
				t.Errorf("-manifest +base:\n%s", diff)
			}
			content, err := c.Files()
			check(t, err)
			if diff := cmp.Diff(content, got.secret.Data); diff != "" {
				t.Errorf("the Secret (-want +got):\n%s", diff)
			}
			pod, asked := got.deployment.Spec.Template.Spec, want.deployment.Spec.Template.Spec
			if pod.Volumes[0].Secret.SecretName != got.secret.Name || got.secret.Namespace != got.deployment.Namespace || pod.Containers[0].Image != asked.Containers[0].Image {
				t.Errorf("the agent in %q reads Secret %q, which is called %q in %q, with image %q, want %q",
					got.deployment.Namespace, pod.Volumes[0].Secret.SecretName, got.secret.Name, got.secret.Namespace, pod.Containers[0].Image, asked.Containers[0].Image)
			}
			if want.deployment.Namespace != got.deployment.Namespace {
				t.Errorf("the agent is in namespace %q, want %q", got.deployment.Namespace, want.deployment.Namespace)
			}
		})
	}
}

// parts are the objects of an agent, its Secret and Deployment apart.
type parts struct {
	secret     corev1.Secret
	deployment appsv1.Deployment
	others     [][]byte
}

func without(t *testing.T, objects [][]byte) parts {
	t.Helper()
	var p parts
	for _, object := range objects {
		switch typed(t, object).(type) {
		case *corev1.Secret:
			check(t, yaml.UnmarshalStrict(object, &p.secret))
		case *appsv1.Deployment:
			check(t, yaml.UnmarshalStrict(object, &p.deployment))
		default:
			p.others = append(p.others, object)
		}
	}
	return p
}

// TestNothingClusterWide: an agent that is let into namespaces has no object that
// grants anything elsewhere.
func TestNothingClusterWide(t *testing.T) {
	manifest, err := manifests.Agent(limitedConfig())
	check(t, err)
	grants := map[string]int{}
	for _, object := range split(t, manifest) {
		var meta struct {
			Kind     string
			Metadata struct{ Namespace string }
		}
		check(t, yaml.Unmarshal(object, &meta))
		if strings.HasPrefix(meta.Kind, "Cluster") {
			t.Errorf("there is a %s", meta.Kind)
		}
		if meta.Kind == "RoleBinding" {
			grants[meta.Metadata.Namespace]++
		}
	}
	if diff := cmp.Diff(map[string]int{"navarch": 1, "blog": 2, "shop": 2}, grants); diff != "" {
		t.Errorf("RoleBindings by namespace (-want +got):\n%s", diff)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
