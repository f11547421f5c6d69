package main

import (
	"strconv"
)

// The parts of a cluster, each a process.
const (
	etcd              = "etcd"
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	schedulerPart     = "kube-scheduler"
	kwok              = "kwok"
	metricsServer     = "metrics-server" // of clusters that measure only
)

// partNames lists the parts in the order in which they start; they stop in the
// opposite order.
var partNames = []string{etcd, apiServer, controllerManager, schedulerPart, kwok, metricsServer}

// parts are those of partNames that this cluster has.
func (c *cluster) parts() []string {
	if c.Metrics != nil {
		return partNames
	}
	return partNames[:len(partNames)-1]
}

// part is what to run for one part.
type part struct {
	name    string
	program string
	args    []string
}

const (
	serviceCIDR = "10.96.0.0/16"
	serviceIP   = "10.96.0.1" // of the Service "kubernetes", the first of serviceCIDR
	podCIDR     = "10.64.0.1/16"
	socket      = "etcd.sock" // relative: the path of a socket is short by law, folders are not
	dnsDomain   = "cluster.local"
	issuer      = "https://kubernetes.default.svc." + dnsDomain
)

// part says how to run one part of the cluster; self is this program. The parts
// run in the cluster's folder.
func (c *cluster) part(name, self string) part {
	switch name {
	case kwok:
		return part{name: name, program: c.Kwok, args: c.kwokArgs()}
	case metricsServer:
		return part{name: name, program: c.Metrics.Server, args: c.metricsServerArgs()}
	}
	args := map[string]func() []string{
		etcd:              c.etcdArgs,
		apiServer:         c.apiServerArgs,
		controllerManager: c.controllerManagerArgs,
		schedulerPart:     c.schedulerArgs,
	}[name]()
	return part{name: name, program: self, args: append([]string{"part", name}, args...)}
}

func (c *cluster) etcdArgs() []string {
	// A member that is alone never talks to the addresses that it advertises.
	const nobody = "http://localhost:2380"
	return []string{
		"--name=" + c.Name,
		"--data-dir=" + c.path("etcd"),
		"--listen-client-urls=unix://" + socket,
		"--advertise-client-urls=" + nobody,
		"--listen-peer-urls=unix://etcd-peer.sock",
		"--initial-advertise-peer-urls=" + nobody,
		"--initial-cluster=" + c.Name + "=" + nobody,
		"--enable-grpc-gateway=false",
		"--heartbeat-interval=20", // it elects itself in 0.1 s, not in 0.5
		"--election-timeout=100",
		"--unsafe-no-fsync", // a test cluster need not survive a power failure
		"--log-level=warn",
	}
}

func (c *cluster) apiServerArgs() []string {
	return []string{
		"--etcd-servers=unix://" + socket,
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(c.Port),
		"--advertise-address=127.0.0.1",
		// An endpoint may not be on loopback, and no pod here would call it.
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=" + serviceCIDR,
		"--authorization-mode=Node,RBAC",
		"--allow-privileged=true",
		"--profiling=false",
		// Without it a stop waits for the watches of clients, a minute.
		"--shutdown-watch-termination-grace-period=1s",

		"--client-ca-file=" + c.key("ca.crt"),
		"--tls-cert-file=" + c.key("apiserver.crt"),
		"--tls-private-key-file=" + c.key("apiserver.key"),

		"--service-account-issuer=" + issuer,
		"--service-account-key-file=" + c.key("sa.pub"),
		"--service-account-signing-key-file=" + c.key("sa.key"),

		// There is no kube-proxy: the aggregation layer calls endpoints itself, or a name.
		"--enable-aggregator-routing=" + strconv.FormatBool(c.Metrics == nil),
		"--requestheader-client-ca-file=" + c.key("front-proxy-ca.crt"),
		"--requestheader-allowed-names=" + frontProxyName,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-uid-headers=X-Remote-Uid",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + c.key("front-proxy-client.crt"),
		"--proxy-client-key-file=" + c.key("front-proxy-client.key"),

		// Who wants to know what somebody asked of the cluster reads it here.
		"--audit-policy-file=" + c.path("audit-policy.yaml"),
		"--audit-log-path=" + c.auditLog(),
		"--audit-log-maxsize=1024", // MiB; it is not rotated while a test reads it
	}
}

// auditPolicy records every request of ServiceAccounts outside of kube-system, once
// it is answered.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
omitManagedFields: true
rules:
- {level: None, userGroups: ["system:serviceaccounts:kube-system"]}
- {level: Metadata, userGroups: ["system:serviceaccounts"]}
- {level: None}
`

func (c *cluster) controllerManagerArgs() []string {
	return []string{
		"--kubeconfig=" + c.kubeconfig(controllerManager),
		"--secure-port=0",
		"--leader-elect=false",
		"--profiling=false",
		// KWOK's nodes need no routes and there is no cloud.
		"--controllers=*,-node-route-controller,-service-lb-controller,-cloud-node-lifecycle-controller",
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + c.key("sa.key"),
		"--root-ca-file=" + c.key("ca.crt"),
		"--cluster-signing-cert-file=" + c.key("ca.crt"),
		"--cluster-signing-key-file=" + c.key("ca.key"),
		// It makes this folder, which is otherwise one of the system's.
		"--flex-volume-plugin-dir=" + c.path("flexvolume"),
		// Tests create hundreds of Deployments at once.
		"--kube-api-qps=200",
		"--kube-api-burst=400",
	}
}

func (c *cluster) schedulerArgs() []string {
	return []string{
		"--kubeconfig=" + c.kubeconfig(schedulerPart),
		"--secure-port=0",
		"--leader-elect=false",
		"--profiling=false",
		"--kube-api-qps=200",
		"--kube-api-burst=400",
	}
}

func (c *cluster) kwokArgs() []string {
	args := []string{
		"--kubeconfig=" + c.kubeconfig(kwok),
		"--config=" + c.path("kwok.yaml"),
		"--manage-all-nodes=true",
		"--cidr=" + podCIDR,
		"--node-lease-duration-seconds=40", // as kubelet's
	}
	if c.Metrics != nil {
		args = append(args, c.kubeletArgs()...)
	}
	return args
}
