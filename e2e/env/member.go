package env

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Member is a running member cluster, seen as its administrator sees it.
type Member struct {
	Name       string
	Kubeconfig string
	Config     *rest.Config
	Client     client.Client
	audit      string // file where its API server records what agents ask; empty: none
	parts      string // folder with the pid files of its parts; empty: not ours
	down       func() error
	control    func(ctx context.Context, args ...string) error // localcluster; nil: not ours
}

// StartMembers starts local clusters side by side, with their state below dir.
// Clusters of these names that run already are used as they are.
func StartMembers(ctx context.Context, t Tools, dir string, names ...string) ([]*Member, error) {
	members := make([]*Member, len(names))
	group, ctx := errgroup.WithContext(ctx)
	for i, name := range names {
		group.Go(func() error {
			var err error
			members[i], err = startMember(ctx, t, dir, name)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		for _, member := range members {
			if member != nil {
				err = errors.Join(err, member.Stop())
			}
		}
		return nil, err
	}
	return members, nil
}

// StartMeasuredMember starts a local cluster as [StartMembers] does, that serves
// metrics.k8s.io: its pods use what their annotations kwok.x-k8s.io/usage-cpu and
// usage-memory say.
func StartMeasuredMember(ctx context.Context, t Tools, dir, name string) (*Member, error) {
	return startMember(ctx, t, dir, name, "--metrics")
}

func startMember(ctx context.Context, t Tools, dir, name string, flags ...string) (*Member, error) {
	up := exec.CommandContext(ctx, t.Localcluster, append([]string{"up", name, "--nodes", "3", "--dir", dir}, flags...)...)
	var stderr bytes.Buffer
	up.Stderr = &stderr
	out, err := up.Output()
	if err != nil {
		return nil, fmt.Errorf("start cluster %q: %w\n%s", name, err, stderr.String())
	}
	member, err := UseMember(name, strings.TrimSpace(string(out)), "")
	if err != nil {
		return nil, err
	}
	member.audit = filepath.Join(dir, name, "log", "audit.jsonl")
	member.parts = filepath.Join(dir, name, "run")
	member.control = func(ctx context.Context, args ...string) error {
		out, err := exec.CommandContext(ctx, t.Localcluster, append(args, "--dir", dir)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("localcluster %s: %w\n%s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	member.down = func() error {
		out, err := exec.Command(t.Localcluster, "down", name, "--dir", dir).CombinedOutput() // also when the caller was told to end
		if err != nil {
			return fmt.Errorf("stop cluster %q: %w\n%s", name, err, out)
		}
		return nil
	}
	return member, nil
}

// UseMember uses a cluster that somebody else runs, by a context of a kubeconfig;
// an empty context is the current one, an empty kubeconfig the user's own.
func UseMember(name, kubeconfig, contextName string) (*Member, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: contextName}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("use cluster %q: %w", name, err)
	}
	config.QPS = -1 // the API server's own fairness is enough
	c, err := client.New(config, client.Options{})
	if err != nil {
		return nil, fmt.Errorf("use cluster %q: %w", name, err)
	}
	return &Member{Name: name, Kubeconfig: kubeconfig, Config: config, Client: c, down: func() error { return nil }}, nil
}

// Stop ends the cluster and removes its state; a cluster of somebody else's is
// left as it is.
func (m *Member) Stop() error { return m.down() }

// PartPID returns the process number of a part of the cluster, such as
// kube-apiserver.
func (m *Member) PartPID(part string) (int, error) {
	content, err := os.ReadFile(filepath.Join(m.parts, part+".pid"))
	if err != nil {
		return 0, fmt.Errorf("find %s of cluster %q: %w", part, m.Name, err)
	}
	return strconv.Atoi(strings.TrimSpace(string(content)))
}

// KillPart ends a part of the cluster at once, such as kube-apiserver. The cluster is
// one that StartMembers started, as for Restart.
func (m *Member) KillPart(ctx context.Context, part string) error {
	return m.control(ctx, "stop", m.Name, part, "--kill")
}

// Restart starts the parts of the cluster that do not run, and waits until it is whole.
func (m *Member) Restart(ctx context.Context) error { return m.control(ctx, "up", m.Name) }

// Halt stops the cluster's API server in its tracks; Resume lets it go on.
func (m *Member) Halt() error { return m.signal(syscall.SIGSTOP) }

// Resume undoes Halt.
func (m *Member) Resume() error { return m.signal(syscall.SIGCONT) }

func (m *Member) signal(s syscall.Signal) error {
	pid, err := m.PartPID("kube-apiserver")
	if err != nil {
		return err
	}
	return syscall.Kill(pid, s)
}

// Object reads one object; namespace is empty for cluster-scoped ones.
func (m *Member) Object(ctx context.Context, apiVersion, kind, namespace, name string) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	object.SetAPIVersion(apiVersion)
	object.SetKind(kind)
	err := m.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)
	return object, err
}

// apply applies one object with server-side apply.
func (m *Member) apply(ctx context.Context, object *unstructured.Unstructured) error {
	err := m.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.ForceOwnership, client.FieldOwner("navarch-e2e"))
	if err != nil {
		return fmt.Errorf("apply %s %q to cluster %q: %w", object.GetKind(), object.GetName(), m.Name, err)
	}
	return nil
}

// Forget removes what Navarch put into the cluster: every object of an app, of the
// kinds that tests use, and what the agent remembers. Namespaces stay.
func (m *Member) Forget(ctx context.Context) error {
	var namespaces corev1.NamespaceList
	if err := m.Client.List(ctx, &namespaces); err != nil {
		return fmt.Errorf("clean cluster %q: %w", m.Name, err)
	}
	for _, namespace := range namespaces.Items {
		for _, k := range orphanKinds {
			object := &unstructured.Unstructured{}
			object.SetAPIVersion(k.APIVersion)
			object.SetKind(k.Kind)
			if err := m.Client.DeleteAllOf(ctx, object, client.InNamespace(namespace.Name), client.HasLabels{"navarch.dev/app"}); err != nil {
				return fmt.Errorf("clean cluster %q: %w", m.Name, err)
			}
		}
	}
	for _, object := range []client.Object{&corev1.ConfigMap{}, &corev1.Secret{}} {
		err := m.Client.DeleteAllOf(ctx, object, client.InNamespace("navarch-system"), client.MatchingLabels{"app.kubernetes.io/managed-by": "navarch"})
		if err != nil {
			return fmt.Errorf("clean cluster %q: %w", m.Name, err)
		}
	}
	return until(ctx, func() error { return m.Orphans(ctx) })
}

// KubeconfigAs writes a kubeconfig that acts as a ServiceAccount of the cluster for
// a day.
func (m *Member) KubeconfigAs(ctx context.Context, namespace, account, file string) error {
	clients, err := kubernetes.NewForConfig(m.Config)
	if err != nil {
		return err
	}
	day := int64(24 * 60 * 60)
	token, err := clients.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, account,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &day}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("ask cluster %q for a token of ServiceAccount %q: %w", m.Name, account, err)
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["member"] = &clientcmdapi.Cluster{
		Server:                   m.Config.Host,
		CertificateAuthority:     m.Config.CAFile,
		CertificateAuthorityData: m.Config.CAData,
	}
	config.AuthInfos["agent"] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	config.Contexts["agent"] = &clientcmdapi.Context{Cluster: "member", AuthInfo: "agent"}
	config.CurrentContext = "agent"
	return clientcmd.WriteToFile(*config, file)
}
