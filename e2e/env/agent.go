package env

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/navarch/navarch/agent/enrol"
)

// Agent is the agent of one member. It runs beside the member's API server, with
// exactly the rights that its install manifest gives its ServiceAccount.
type Agent struct {
	*Program
	Member *Member
	Listen string // address of its metrics and probes
	Pprof  string // URL of its profiles; empty: it serves none
	args   []string
	dir    string
	path   string
	name   string // begins that of the log
}

// InstallAgent applies to the member what the line of `navarch token create` fetches
// from the hub, all but the Deployment, and starts the agent's process with the Secret
// that it brought.
// Its state and logs go below dir.
func (h *Hub) InstallAgent(ctx context.Context, m *Member, dir string) (*Agent, error) {
	manifest, err := h.manifestByLine(ctx, m.Name)
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, "agent-"+m.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := m.applyAgent(ctx, manifest, dir); err != nil {
		return nil, err
	}
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := m.KubeconfigAs(ctx, "navarch-system", "navarch-agent", kubeconfig); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	a := &Agent{Member: m, Listen: listen, dir: dir, path: h.tools.Agent, args: []string{
		"--config", dir, "--kubeconfig", kubeconfig, "--listen", listen,
	}}
	if h.Pprof != "" {
		var flags []string
		if a.Pprof, flags, err = pprof(); err != nil {
			return nil, err
		}
		a.args = append(a.args, flags...)
	}
	return a, a.Start()
}

// Rejoin installs an agent again, with a new token from a file as sites without a way
// to the dashboard have it. Further arguments are flags of `navarch token create`.
func (h *Hub) Rejoin(ctx context.Context, a *Agent, args ...string) error {
	a.Stop()
	file := filepath.Join(a.dir, "manifest.yaml")
	if _, err := h.createToken(ctx, a.Member.Name, append([]string{"--nats", h.NATSURL, "--hub-ca", h.NATSCA, "--out", file}, args...)...); err != nil {
		return err
	}
	manifest, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := a.Member.applyAgent(ctx, manifest, a.dir); err != nil {
		return err
	}
	return a.Start()
}

// manifestByLine returns the manifest that the line of `navarch token create` applies.
func (h *Hub) manifestByLine(ctx context.Context, cluster string) ([]byte, error) {
	printed, err := h.createToken(ctx, cluster)
	if err != nil {
		return nil, err
	}
	words := strings.Fields(string(printed))
	return h.Fetch(ctx, strings.TrimPrefix(words[len(words)-1], h.URL))
}

func (h *Hub) createToken(ctx context.Context, cluster string, args ...string) ([]byte, error) {
	create := exec.CommandContext(ctx, h.tools.Navarch, append([]string{"token", "create", "--cluster", cluster, "--identity", h.Identity, "--hub", h.URL}, args...)...)
	var stderr bytes.Buffer
	create.Stderr = &stderr
	printed, err := create.Output()
	if err != nil {
		return nil, fmt.Errorf("navarch token create: %w\n%s", err, stderr.String())
	}
	return printed, nil
}

// ForgetKey ends the agent, deletes the key that it made, and starts it again.
func (a *Agent) ForgetKey(ctx context.Context) error {
	a.Stop()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "navarch-system", Name: enrol.SecretName}}
	if err := a.Member.Client.Delete(ctx, secret); err != nil {
		return fmt.Errorf("forget the key of cluster %q: %w", a.Member.Name, err)
	}
	return a.Start()
}

// Admitted returns how often the agent says that the hub admitted it.
func (a *Agent) Admitted() int { return strings.Count(a.Tail(10000), "admitted by the hub") }

// Second returns another agent of the same cluster, with the same rights and
// credentials. Start starts it.
func (a *Agent) Second() *Agent {
	return &Agent{Member: a.Member, dir: a.dir, path: a.path, name: "second-", args: append(slices.Clone(a.args), "--identity", "second", "--listen", "")}
}

// Start starts the agent's process, after Kill or Stop too.
func (a *Agent) Start() error {
	program, err := start(a.dir, a.name+"agent-"+a.Member.Name, a.path, a.args...)
	a.Program = program
	return err
}

// applyAgent applies every object of an agent's manifest but its Deployment, and
// writes the content of its Secrets as files into dir, as a kubelet would mount them.
func (m *Member) applyAgent(ctx context.Context, manifest []byte, dir string) error {
	objects, err := decode(manifest)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if object.GetKind() == "Deployment" {
			continue
		}
		if err := m.apply(ctx, object); err != nil {
			return err
		}
		if object.GetKind() != "Secret" {
			continue
		}
		files, err := secretFiles(object)
		if err != nil {
			return err
		}
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// ApplyManifest makes every object of a manifest, as an administrator.
func (m *Member) ApplyManifest(ctx context.Context, manifest []byte) error {
	objects, err := decode(manifest)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := m.apply(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// decode returns the objects of a manifest.
func decode(manifest []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the manifest: %w", err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

func secretFiles(secret *unstructured.Unstructured) (map[string][]byte, error) {
	files := map[string][]byte{}
	plain, _, _ := unstructured.NestedStringMap(secret.Object, "stringData")
	for name, content := range plain {
		files[name] = []byte(content)
	}
	encoded, _, _ := unstructured.NestedStringMap(secret.Object, "data")
	for name, content := range encoded {
		decoded, err := base64.StdEncoding.DecodeString(content)
		if err != nil {
			return nil, fmt.Errorf("read key %q of Secret %q: %w", name, secret.GetName(), err)
		}
		files[name] = decoded
	}
	return files, nil
}
