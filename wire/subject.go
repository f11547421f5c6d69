package wire

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/navarch/navarch/fleet"
)

// The streams that keep the protocol's state, each the last message of every subject.
const (
	StreamDesired   = "NAVARCH_DESIRED"
	StreamArtifacts = "NAVARCH_ARTIFACTS"
	StreamReports   = "NAVARCH_REPORTS"
)

// The subjects of each stream. A cluster, an app and a digest are one token each.
const (
	AllDesired   = "fleet.v1.desired.*"
	AllArtifacts = "fleet.v1.artifact.*.*"
	AllReports   = "fleet.v1.report.*.*"
	AllClusters  = "fleet.v1.cluster.*"
)

// DesiredSubject keeps the announcement for a cluster. The hub writes it.
func DesiredSubject(c fleet.ClusterName) string { return "fleet.v1.desired." + string(c) }

// ReportSubject keeps an agent's report of one app.
func ReportSubject(c fleet.ClusterName, app fleet.AppName) string {
	return "fleet.v1.report." + string(c) + "." + string(app)
}

// ClusterSubject keeps an agent's heartbeat: what it says of its cluster.
func ClusterSubject(c fleet.ClusterName) string { return "fleet.v1.cluster." + string(c) }

// ArtifactSubject keeps one chunk of an artifact, counted from 0. See [PackArtifact].
func ArtifactSubject(a Address, chunk int) string {
	return "fleet.v1.artifact." + string(a) + "." + strconv.Itoa(chunk)
}

// InboxPrefix is where the answers to an agent's requests go. No other agent may
// listen there.
func InboxPrefix(c fleet.ClusterName) string { return "_INBOX." + string(c) }

// DirectGet is the subject that asks a stream for the kept message of a subject.
func DirectGet(stream, subject string) string { return "$JS.API.DIRECT.GET." + stream + "." + subject }

// ParseReportSubject is the inverse of [ReportSubject].
func ParseReportSubject(subject string) (fleet.ClusterName, fleet.AppName, error) {
	rest, ok := strings.CutPrefix(subject, "fleet.v1.report.")
	cluster, app, two := strings.Cut(rest, ".")
	if !ok || !two {
		return "", "", fmt.Errorf("subject %q is not that of a report", subject)
	}
	c, err := fleet.ParseClusterName(cluster)
	if err != nil {
		return "", "", fmt.Errorf("subject %q: %w", subject, err)
	}
	a, err := fleet.ParseAppName(app)
	if err != nil {
		return "", "", fmt.Errorf("subject %q: %w", subject, err)
	}
	return c, a, nil
}

// ArtifactSubjects matches every chunk of an artifact.
func ArtifactSubjects(a Address) string { return "fleet.v1.artifact." + string(a) + ".*" }

// ReportSubjects matches an agent's reports of all apps.
func ReportSubjects(c fleet.ClusterName) string { return "fleet.v1.report." + string(c) + ".*" }

// ParseDesiredSubject is the inverse of [DesiredSubject].
func ParseDesiredSubject(subject string) (fleet.ClusterName, error) {
	return parseCluster(subject, "fleet.v1.desired.", "an announcement")
}

// ParseArtifactSubject is the inverse of [ArtifactSubject].
func ParseArtifactSubject(subject string) (Address, int, error) {
	rest, ok := strings.CutPrefix(subject, "fleet.v1.artifact.")
	address, chunk, two := strings.Cut(rest, ".")
	if !ok || !two || len(address) != 64 || strings.Trim(address, "0123456789abcdef") != "" {
		return "", 0, fmt.Errorf("subject %q is not that of an artifact", subject)
	}
	n, err := strconv.ParseUint(chunk, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != chunk {
		return "", 0, fmt.Errorf("subject %q: chunk %q is not a number", subject, chunk)
	}
	return Address(address), int(n), nil
}

// ParseClusterSubject is the inverse of [ClusterSubject].
func ParseClusterSubject(subject string) (fleet.ClusterName, error) {
	return parseCluster(subject, "fleet.v1.cluster.", "a heartbeat")
}

// parseCluster returns the cluster that follows prefix and ends the subject.
func parseCluster(subject, prefix, noun string) (fleet.ClusterName, error) {
	rest, ok := strings.CutPrefix(subject, prefix)
	if !ok {
		return "", fmt.Errorf("subject %q is not that of %s", subject, noun)
	}
	c, err := fleet.ParseClusterName(rest)
	if err != nil {
		return "", fmt.Errorf("subject %q: %w", subject, err)
	}
	return c, nil
}

// Offer is what the account that keeps the streams offers the account of the
// agents: services answer, streams are listened to.
//
// There are two accounts because NATS checks the subject of a request and not the
// one where its answer is to go. In one account, an agent could name another
// cluster's subject or the streams' own API as its inbox, and JetStream would
// write there for it.
type Offer struct {
	Services, Streams []string
}

// OfferAgents returns the offer to all agents. The allow-list of each narrows it;
// see [AllowAgent].
func OfferAgents() Offer {
	return Offer{
		Services: []string{
			DirectGet(StreamDesired, AllDesired),
			DirectGet(StreamArtifacts, AllArtifacts),
			AllReports,
			AllClusters,
			AllEnrol,
		},
		Streams: []string{AllDesired},
	}
}

// Allow is everything that the agent of one cluster may do on NATS.
type Allow struct {
	Publish, Subscribe []string
}

// AllowAgent returns the allow-list of a cluster's agent: it reads its own
// announcement and artifacts by digest, and writes its own reports.
func AllowAgent(c fleet.ClusterName) Allow {
	return Allow{
		Publish: []string{
			DirectGet(StreamDesired, DesiredSubject(c)),
			DirectGet(StreamArtifacts, AllArtifacts),
			ReportSubjects(c),
			ClusterSubject(c),
		},
		Subscribe: []string{
			DesiredSubject(c),
			InboxPrefix(c) + ".>",
		},
	}
}
