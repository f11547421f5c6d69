package fleet

import (
	"encoding/json"
	"fmt"
	"strings"
)

// karmadaClusterSpec holds what is only of use to who connects to the cluster as
// it is written.
type karmadaClusterSpec struct {
	ID                          json.RawMessage `json:"id"`
	SyncMode                    string          `json:"syncMode"`
	APIEndpoint                 json.RawMessage `json:"apiEndpoint"`
	SecretRef                   json.RawMessage `json:"secretRef"`
	ImpersonatorSecretRef       json.RawMessage `json:"impersonatorSecretRef"`
	InsecureSkipTLSVerification json.RawMessage `json:"insecureSkipTLSVerification"`
	ProxyURL                    json.RawMessage `json:"proxyURL"`
	ProxyHeader                 json.RawMessage `json:"proxyHeader"`
	ResourceModels              json.RawMessage `json:"resourceModels"`
	Provider                    string          `json:"provider"`
	Region                      string          `json:"region"`
	Zone                        string          `json:"zone"`
	Zones                       []string        `json:"zones"`
	Taints                      []karmadaTaint  `json:"taints"`
}

type karmadaTaint struct {
	Key       string          `json:"key"`
	Value     string          `json:"value"`
	Effect    string          `json:"effect"`
	TimeAdded json.RawMessage `json:"timeAdded"`
}

type taintSpec struct {
	TargetClusters     *ClusterAffinity `json:"targetClusters"`
	AddOnConditions    []TaintCondition `json:"addOnConditions"`
	RemoveOnConditions []TaintCondition `json:"removeOnConditions"`
	Taints             []Taint          `json:"taints"`
}

// karmadaCluster checks a cluster of Karmada's and makes the value.
func (d *document) karmadaCluster(f karmadaForm[karmadaClusterSpec]) Cluster {
	s := f.Spec
	d.checkPolicyMetadata(f.Metadata, false)
	name, err := ParseClusterName(f.Metadata.Name)
	if err != nil && f.Metadata.Name != "" {
		d.refuse("metadata.name", "", "%v", err)
	}
	if s.SyncMode != "" && s.SyncMode != "Pull" && d.oneOf(s.SyncMode, "spec.syncMode", "Push", "Pull") {
		d.warn("spec.syncMode", "install an agent in the cluster", "is ignored: %s", noConnection)
	}
	for _, field := range []string{
		"apiEndpoint", "id", "impersonatorSecretRef", "insecureSkipTLSVerification", "proxyHeader", "proxyURL", "secretRef",
	} {
		if d.has("spec." + field) {
			d.warn("spec."+field, "remove it", "is ignored: %s", noConnection)
		}
	}
	if d.has("spec.resourceModels") {
		d.warn("spec.resourceModels", "remove it", "is ignored: %s", noModels)
	}
	zones := s.Zones
	if s.Zone != "" {
		d.warn("spec.zone", fmt.Sprintf("write zones: [%s]", s.Zone), "is the way of former versions of Karmada to write one zone")
		if len(zones) == 0 {
			zones = []string{s.Zone}
		}
	}
	var taints []Taint
	for i, t := range s.Taints {
		taints = append(taints, Taint{Key: t.Key, Value: t.Value, Effect: t.Effect})
		if field := index("spec.taints", i) + ".timeAdded"; d.has(field) {
			d.warn(field, "remove it", "is ignored: %s", noTime)
		}
		if strings.HasPrefix(t.Key, clusterGroup+"/") {
			d.warn(index("spec.taints", i), "remove it", "is a taint that the hub sets and removes by itself; in Git it holds for ever")
		}
	}
	d.checkTaints(taints, "spec.taints")
	return Cluster{
		Name: name, Labels: f.Metadata.Labels, Provider: s.Provider, Region: s.Region, Zones: zones, Taints: taints,
		Position: d.at("metadata.name"),
	}
}

// taintPolicy checks a policy and makes the value.
func (d *document) taintPolicy(f karmadaForm[taintSpec]) TaintPolicy {
	s := f.Spec
	d.checkPolicyMetadata(f.Metadata, false)
	d.checkAffinity(s.TargetClusters, "spec.targetClusters")
	d.checkTaintConditions(s.AddOnConditions, "spec.addOnConditions")
	d.checkTaintConditions(s.RemoveOnConditions, "spec.removeOnConditions")
	d.checkTaints(s.Taints, "spec.taints")
	switch {
	case len(s.Taints) == 0:
		d.missing("spec.taints", "")
	case len(s.AddOnConditions) == 0:
		d.warn("spec.addOnConditions", "name the conditions, or write the taints into the clusters", "is empty, so no cluster gets the taints")
	}
	return TaintPolicy{
		Name: f.Metadata.Name, TargetClusters: s.TargetClusters, AddOnConditions: s.AddOnConditions,
		RemoveOnConditions: s.RemoveOnConditions, Taints: s.Taints, Position: d.at("metadata.name"),
	}
}

func (d *document) checkTaintConditions(conditions []TaintCondition, field string) {
	for i, c := range conditions {
		field := index(field, i)
		switch c.ConditionType {
		case "":
			d.missing(field+".conditionType", "")
		case "Ready":
		default:
			d.warn(field+".conditionType", "use Ready", "is %q, a condition that no cluster has", c.ConditionType)
		}
		d.oneOf(c.Operator, field+".operator", operatorIn, operatorNotIn)
		if len(c.StatusValues) == 0 {
			d.missing(field+".statusValues", "True, False or Unknown")
		}
		for j, value := range c.StatusValues {
			d.oneOf(value, index(field+".statusValues", j), string(ConditionTrue), string(ConditionFalse), string(ConditionUnknown))
		}
	}
}
