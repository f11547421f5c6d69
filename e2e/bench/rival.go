package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/fluxcd/pkg/ssa"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/navarch/navarch/e2e/env"
)

// rivals are those that --compare takes. Each returns how it applies to one member.
var rivals = map[string]func(kubeconfig string) (applier, error){"kubectl": kubectl, "ssa": fluxSSA}

// applier brings the named apps of one member to a mark.
type applier func(ctx context.Context, names []string, mark string) error

// rival is somebody else who applies the same objects, in a namespace of its own. It
// acts as a ServiceAccount, so that what it asks is in the audit log.
type rival struct {
	name    string
	members []*env.Member
	apply   []applier // by member
	sizes   []int64   // of the audit logs, as far as they were read
}

const (
	rivalUser     = "system:serviceaccount:" + rivalNamespace + ":rival"
	rivalManifest = `apiVersion: v1
kind: Namespace
metadata: {name: rival}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: rival, namespace: rival}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: rival}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: rival, namespace: rival}]
`
)

// newRival lets a rival into the members. What it needs goes below dir.
func newRival(ctx context.Context, name, dir string, members []*env.Member) (*rival, error) {
	r := &rival{name: name, members: members, sizes: make([]int64, len(members))}
	for _, m := range members {
		if err := m.ApplyManifest(ctx, []byte(rivalManifest)); err != nil {
			return nil, err
		}
		kubeconfig := filepath.Join(dir, "rival-"+m.Name)
		if err := m.KubeconfigAs(ctx, rivalNamespace, "rival", kubeconfig); err != nil {
			return nil, err
		}
		apply, err := rivals[name](kubeconfig)
		if err != nil {
			return nil, err
		}
		r.apply = append(r.apply, apply)
	}
	return r, nil
}

// compete has the rival bring the named apps to a mark on every member at once. It
// returns how long it took until the watchers have seen all of it, and adds to m what
// it cost.
func (b *bench) compete(ctx context.Context, m *measurement, names []string, mark string) (time.Duration, error) {
	cpu := spent()
	begin := time.Now()
	api, err := b.meter.leaveOut(func() error {
		group, ctx := errgroup.WithContext(ctx)
		for i, apply := range b.rival.apply {
			group.Go(func() error {
				if err := apply(ctx, names, mark); err != nil {
					return fmt.Errorf("%s: %w", b.rival.name, err)
				}
				_, err := b.watchers[i].all(ctx, rivalNamespace, names, mark)
				return err
			})
		}
		return group.Wait()
	})
	took := time.Since(begin)
	m.APICPU += api
	m.AgentCPU += spent() - cpu
	if err != nil {
		return 0, err
	}
	return took, b.rival.audit(m)
}

// audit adds to m what the rival has asked of the API servers.
func (r *rival) audit(m *measurement) error {
	for i, member := range r.members {
		requests, size, err := member.RequestsOf(rivalUser, r.sizes[i])
		if err != nil {
			return err
		}
		r.sizes[i] = size
		for _, request := range requests {
			switch {
			case request.Writes():
				m.Writes++
			case request.DryRun:
				m.DryRuns++
				m.Reads++
			default:
				m.Reads++
			}
		}
	}
	return nil
}

// spent is the CPU seconds of this process and of those that it has waited for.
func spent() float64 {
	sum := 0.0
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var used syscall.Rusage
		if syscall.Getrusage(who, &used) == nil {
			sum += float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
		}
	}
	return sum
}

// kubectl sends everything with one `kubectl apply --server-side`.
func kubectl(kubeconfig string) (applier, error) {
	path, err := exec.LookPath("kubectl")
	if err != nil {
		return nil, fmt.Errorf("find kubectl: %w (install it, or compare with ssa)", err)
	}
	return func(ctx context.Context, names []string, mark string) error {
		var manifests []string
		for _, name := range names {
			manifests = append(manifests, objectsYAML(name, mark))
		}
		cmd := exec.CommandContext(ctx, path, "apply", "--server-side", "--force-conflicts", "--namespace", rivalNamespace,
			"--kubeconfig", kubeconfig, "--cache-dir", kubeconfig+"-cache", "--filename", "-")
		cmd.Stdin = strings.NewReader(strings.Join(manifests, "---\n"))
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%w\n%s", err, stderr.String())
		}
		return nil
	}, nil
}

// fluxSSA applies each app with the library that Flux applies with, as many apps at
// once as the floor has patches on their way.
func fluxSSA(kubeconfig string) (applier, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	c, err := client.New(config, client.Options{})
	if err != nil {
		return nil, err
	}
	// Nothing that the apps hold is polled for.
	manager := ssa.NewResourceManager(c, nil, ssa.Owner{Field: "rival", Group: "rival.example"})
	manager.SetConcurrency(4) // as Flux has it
	return func(ctx context.Context, names []string, mark string) error {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(inFlight)
		for _, name := range names {
			group.Go(func() error {
				objects, err := objectsOf(name, mark, rivalNamespace)
				if err != nil {
					return err
				}
				_, err = manager.ApplyAllStaged(ctx, objects, ssa.DefaultApplyOptions())
				return err
			})
		}
		return group.Wait()
	}, nil
}
