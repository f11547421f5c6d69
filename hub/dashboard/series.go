package dashboard

import (
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/navarch/navarch/hub/view"
)

// DefaultSeries is how many clusters, and how many apps, have series of their own.
const DefaultSeries = 1000

// otherName stands for all clusters, or apps, that have none. No cluster and no app has
// this name.
const otherName = "_other"

var (
	clusterReadyDesc     = describe("cluster_ready", "Whether everything on a cluster runs what was announced and is healthy: 1 or 0.", "cluster")
	clusterConnectedDesc = describe("cluster_connected", "Whether the agent of a cluster is not silent: 1 or 0.", "cluster")
	clusterAppsDesc      = describe("cluster_apps", "Apps on a cluster, by health.", "cluster", "health")
	clusterLagDesc       = describe("cluster_lag_seconds", "How long ago what a cluster has not applied yet was announced; 0 when it is up to date.", "cluster")
	clusterAnnouncedDesc = describe("cluster_announced_timestamp_seconds", "When a cluster was last told to run something else.", "cluster")
	clusterHeardDesc     = describe("cluster_heard_timestamp_seconds", "When the agent of a cluster last said anything.", "cluster")
	clusterNodesDesc     = describe("cluster_nodes", "Nodes of a cluster, by whether they are ready.", "cluster", "ready")
	clusterPodsDesc      = describe("cluster_pods", "Pods of a cluster, by phase.", "cluster", "phase")
	clusterCPUDesc       = describe("cluster_cpu_cores", "Cores of a cluster, by what they are: capacity, allocatable, requested or used.", "cluster", "amount")
	clusterMemoryDesc    = describe("cluster_memory_bytes", "Memory of a cluster, by what it is: capacity, allocatable, requested or used.", "cluster", "amount")
	clusterRoomDesc      = describe("cluster_pod_places", "Places for pods in a cluster, by what they are: capacity, allocatable or requested.", "cluster", "amount")
	agentVersionDesc     = describe("cluster_agent_info", "Always 1: the versions of a cluster's agent and of its Kubernetes.", "cluster", "version", "kubernetes")
	agentCPUDesc         = describe("cluster_agent_cpu_seconds_total", "CPU time that a cluster's agent took.", "cluster")
	agentMemoryDesc      = describe("cluster_agent_resident_memory_bytes", "Resident memory of a cluster's agent.", "cluster")
	agentRequestsDesc    = describe("cluster_agent_api_requests_total", "Requests of a cluster's agent to its API server.", "cluster")
	agentAppliedDesc     = describe("cluster_agent_objects_applied_total", "Objects that a cluster's agent applied because an app changed.", "cluster")
	agentRepairedDesc    = describe("cluster_agent_objects_repaired_total", "Objects that a cluster's agent applied again because somebody changed or deleted them.", "cluster")
	agentFailuresDesc    = describe("cluster_agent_apply_failures_total", "Attempts of a cluster's agent at an app that did not succeed.", "cluster")
	appClustersDesc      = describe("app_clusters", "Clusters that an app is on, by its health there.", "app", "health")
	appBehindDesc        = describe("app_clusters_behind", "Clusters that have not applied what was announced of an app.", "app")
)

// gauge sends one metric.
type gauge func(desc *prometheus.Desc, value float64, labels ...string)

// amounts are sums of a resource, by what they are: capacity and so on. What is not
// known is not in it.
type amounts map[string]float64

// figures are what the series of one cluster say, or of several summed up.
type figures struct {
	ready, connected  int
	apps              view.Counts
	lag               time.Duration // the longest
	announced         time.Time     // the newest
	heard             time.Time     // the longest ago; zero: never
	heartbeats        int           // of clusters that are connected
	whole             int           // of those, whose agents see nodes
	nodes, nodesReady int
	pods              map[string]int // by phase
	cpu, memory, room amounts
}

func newFigures() *figures {
	return &figures{pods: map[string]int{}, cpu: amounts{}, memory: amounts{}, room: amounts{}}
}

// add counts a cluster in. What a silent agent said last of its cluster is nothing that
// is known now.
func (f *figures) add(c *view.Cluster, now time.Time) {
	if c.Health == view.Ready {
		f.ready++
	}
	for _, h := range view.Healths() {
		f.apps[h] += c.Counts.Of(h)
	}
	if c.Behind && !c.BehindSince.IsZero() {
		f.lag = max(f.lag, now.Sub(c.BehindSince))
	}
	if c.Announced.After(f.announced) {
		f.announced = c.Announced
	}
	if !c.Heard.IsZero() && (f.heard.IsZero() || c.Heard.Before(f.heard)) {
		f.heard = c.Heard
	}
	if !c.Connected {
		return
	}
	f.connected++
	if c.Heartbeat.Cluster == "" {
		return
	}
	f.heartbeats++
	facts := c.Heartbeat.Facts
	if len(facts.Namespaces) == 0 {
		f.whole++
	}
	f.nodes += facts.Nodes
	f.nodesReady += facts.NodesReady
	for phase, count := range facts.Pods {
		f.pods[phaseOf(phase)] += count
	}
	for amount, said := range map[string]map[string]string{
		"capacity": facts.Capacity, "allocatable": facts.Allocatable, "requested": facts.Requested, "used": facts.Used,
	} {
		f.cpu.add(amount, said["cpu"])
		f.memory.add(amount, said["memory"])
		f.room.add(amount, said["pods"])
	}
}

// add adds a quantity in Kubernetes' form, if it is one.
func (a amounts) add(amount, quantity string) {
	if q, err := resource.ParseQuantity(quantity); err == nil {
		a[amount] += q.AsApproximateFloat64()
	}
}

// phases are those that Kubernetes gives to pods.
var phases = []string{"Pending", "Running", "Succeeded", "Failed", "Unknown"}

// phaseOf is one of phases, whatever an agent says.
func phaseOf(said string) string {
	if slices.Contains(phases, said) {
		return said
	}
	return "Unknown"
}

func (f *figures) send(name string, send gauge) {
	send(clusterReadyDesc, float64(f.ready), name)
	send(clusterConnectedDesc, float64(f.connected), name)
	for _, h := range view.Healths() {
		send(clusterAppsDesc, float64(f.apps.Of(h)), name, h.String())
	}
	send(clusterLagDesc, f.lag.Seconds(), name)
	sendTime(send, clusterAnnouncedDesc, f.announced, name)
	sendTime(send, clusterHeardDesc, f.heard, name)
	if f.heartbeats == 0 {
		return
	}
	if f.whole > 0 {
		send(clusterNodesDesc, float64(f.nodesReady), name, "true")
		send(clusterNodesDesc, float64(f.nodes-f.nodesReady), name, "false")
	}
	for _, phase := range phases {
		send(clusterPodsDesc, float64(f.pods[phase]), name, phase)
	}
	for desc, amounts := range map[*prometheus.Desc]amounts{clusterCPUDesc: f.cpu, clusterMemoryDesc: f.memory, clusterRoomDesc: f.room} {
		for amount, value := range amounts {
			send(desc, value, name, amount)
		}
	}
}

func sendTime(send gauge, desc *prometheus.Desc, t time.Time, labels ...string) {
	if !t.IsZero() {
		send(desc, float64(t.UnixMilli())/1000, labels...)
	}
}

// sendAgent sends what one agent says of itself.
func sendAgent(c *view.Cluster, send gauge, count gauge) {
	if !c.Connected || c.Heartbeat.Cluster == "" {
		return
	}
	name, cost := string(c.Name), c.Heartbeat.Cost
	send(agentVersionDesc, 1, name, brief(c.Heartbeat.Agent), brief(c.Heartbeat.Facts.Kubernetes))
	if cost.ResidentBytes == 0 {
		return // it does not say
	}
	send(agentMemoryDesc, float64(cost.ResidentBytes), name)
	count(agentCPUDesc, cost.CPUSeconds, name)
	count(agentRequestsDesc, float64(cost.Requests), name)
	count(agentAppliedDesc, float64(cost.Applied), name)
	count(agentRepairedDesc, float64(cost.Repaired), name)
	count(agentFailuresDesc, float64(cost.Failures), name)
}

// longestLabel is how much of a text that an agent says becomes a label, in characters.
const longestLabel = 64

func brief(s string) string {
	letters := []rune(s)
	return string(letters[:min(len(letters), longestLabel)])
}

// sendClusters sends the series of the clusters that Git names or that were told
// something: the first most of them by name, and the sum of the others. What agents
// count up by themselves is not summed up: a sum falls when one begins anew.
func sendClusters(s *view.Snapshot, now time.Time, most int, send, count gauge) {
	for _, c := range s.Clusters[:min(most, len(s.Clusters))] {
		f := newFigures()
		f.add(c, now)
		f.send(string(c.Name), send)
		sendAgent(c, send, count)
	}
	if len(s.Clusters) <= most {
		return
	}
	others := newFigures()
	for _, c := range s.Clusters[most:] {
		others.add(c, now)
	}
	others.send(otherName, send)
}

// sendApps sends the series of apps: of the first most that Git names, by name, and the
// sum of all others. An agent cannot make series by naming apps.
func sendApps(s *view.Snapshot, most int, send gauge) {
	apps := slices.Clone(s.Apps)
	slices.SortStableFunc(apps, func(a, b *view.App) int { return cmp.Compare(oneIf(b.InGit), oneIf(a.InGit)) })
	var others view.Counts
	behind, folded := 0, false
	for i, app := range apps {
		if i < most && app.InGit {
			sendApp(string(app.Name), app.Counts, app.Behind, send)
			continue
		}
		folded = true
		behind += app.Behind
		for _, h := range view.Healths() {
			others[h] += app.Counts.Of(h)
		}
	}
	if folded {
		sendApp(otherName, others, behind, send)
	}
}

func sendApp(name string, counts view.Counts, behind int, send gauge) {
	for _, h := range view.Healths() {
		send(appClustersDesc, float64(counts.Of(h)), name, h.String())
	}
	send(appBehindDesc, float64(behind), name)
}
