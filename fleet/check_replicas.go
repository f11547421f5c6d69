package fleet

import "time"

// checkReplicaScheduling checks how replicas are divided, and sets the defaults.
func (d *document) checkReplicaScheduling(s *ReplicaScheduling, field string) {
	if s.RescheduleAt != "" {
		if _, err := time.Parse(time.RFC3339, s.RescheduleAt); err != nil {
			d.refuse(field+".rescheduleAt", "", "%q is no time, want one such as 2026-11-23T08:00:00Z", s.RescheduleAt)
		}
	}
	if len(s.ClusterReplicas) > 0 {
		d.checkClusterReplicas(s, field)
		return
	}
	if s.ReplicaSchedulingType+s.ReplicaDivisionPreference == "" && s.WeightPreference == nil && s.Replicas == nil && !d.misshapen {
		d.warn(field, "write replicaSchedulingType: Divided if you mean that, or remove replicaScheduling to run all replicas everywhere",
			"says nothing, which divides the replicas by equal weights")
	}
	if s.ReplicaSchedulingType == "" {
		s.ReplicaSchedulingType = scheduleDivided
	}
	if !d.oneOf(s.ReplicaSchedulingType, field+".replicaSchedulingType", scheduleDuplicated, scheduleDivided) {
		return
	}
	if s.ReplicaSchedulingType == scheduleDuplicated {
		for name, written := range map[string]bool{
			"replicaDivisionPreference": s.ReplicaDivisionPreference != "", "weightPreference": s.WeightPreference != nil,
		} {
			if written {
				d.warn(field+"."+name, "remove it, or use replicaSchedulingType Divided", "is ignored where replicas are duplicated")
			}
		}
		if s.Replicas != nil {
			d.refuse(field+".replicas", "use replicaSchedulingType Divided", "is a total to divide, and replicas are duplicated")
		}
		return
	}
	if s.ReplicaDivisionPreference == "" {
		s.ReplicaDivisionPreference = divideWeighted
	}
	if s.Replicas != nil && *s.Replicas < 0 {
		d.refuse(field+".replicas", "", "is %d, want 0 or more", *s.Replicas)
	}
	if d.oneOf(s.ReplicaDivisionPreference, field+".replicaDivisionPreference", divideAggregated, divideWeighted) && s.WeightPreference != nil {
		d.checkWeights(s, field+".weightPreference")
	}
}

func (d *document) checkWeights(s *ReplicaScheduling, field string) {
	w := s.WeightPreference
	if s.ReplicaDivisionPreference == divideAggregated {
		d.warn(field, "remove it, or use replicaDivisionPreference Weighted", "is ignored where replicas are aggregated")
	}
	for i, rule := range w.StaticWeightList {
		field := index(field+".staticWeightList", i)
		d.checkRequired(rule.TargetCluster, field+".targetCluster")
		if rule.Weight < 1 {
			d.number(field+".weight", "leave out the rule to give its clusters nothing", rule.Weight, "want 1 or more")
		}
		if rule.MinReplicas < 0 {
			d.refuse(field+".minReplicas", "", "is %d, want 0 or more", rule.MinReplicas)
		}
		if rule.MaxReplicas != nil && *rule.MaxReplicas < rule.MinReplicas {
			d.refuse(field+".maxReplicas", "", "is %d, less than minReplicas, which is %d", *rule.MaxReplicas, rule.MinReplicas)
		}
	}
	if w.DynamicWeight == "" {
		return
	}
	d.oneOf(w.DynamicWeight, field+".dynamicWeight", weightAvailableReplicas)
	if len(w.StaticWeightList) > 0 {
		d.warn(field+".staticWeightList", "remove one of them", "is ignored beside dynamicWeight")
	}
}

// checkClusterReplicas checks replicas that are fixed cluster by cluster, which
// leave nothing to divide.
func (d *document) checkClusterReplicas(s *ReplicaScheduling, field string) {
	for _, other := range []string{"replicaSchedulingType", "replicaDivisionPreference", "weightPreference", "replicas"} {
		if d.has(field + "." + other) {
			d.refuse(field+"."+other, "remove one of them", "cannot stand beside clusterReplicas, which leave nothing to divide")
		}
	}
	for i, rule := range s.ClusterReplicas {
		field := index(field+".clusterReplicas", i)
		d.checkRequired(rule.TargetCluster, field+".targetCluster")
		if rule.Replicas < 0 || !d.has(field+".replicas") {
			d.number(field+".replicas", "", rule.Replicas, "want 0 or more")
		}
	}
}
