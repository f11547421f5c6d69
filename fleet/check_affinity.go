package fleet

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

func (d *document) checkToleration(t Toleration, field string) {
	switch t.Operator {
	case "", operatorEqual:
		if t.Key == "" {
			d.refuse(field, "name the key, or use operator Exists to tolerate every taint", "a toleration without a key needs operator Exists")
		}
	case operatorExists:
		if t.Value != "" {
			d.refuse(field+".value", "remove it, or use operator Equal", "operator Exists has no value")
		}
	case "Lt", "Gt":
		d.refuse(field+".operator", "use Equal or Exists", "operator %s compares numbers, which tolerations of clusters do not", t.Operator)
	default:
		d.oneOf(t.Operator, field+".operator", operatorEqual, operatorExists)
	}
	if t.Key != "" {
		d.checkLabel(t.Key, t.Value, field+".key", field+".value")
	}
	if t.Effect != "" {
		d.oneOf(t.Effect, field+".effect", effects...)
	}
	if t.TolerationSeconds != nil && t.Effect != effectNoExecute {
		d.refuse(field+".tolerationSeconds", "use effect NoExecute: other taints evict nothing", "only has a meaning with effect NoExecute")
	}
}

func (d *document) checkAffinity(a *ClusterAffinity, field string) {
	if a == nil {
		return
	}
	d.checkLabelSelector(a.LabelSelector, field+".labelSelector")
	d.checkFieldSelector(a.FieldSelector, field+".fieldSelector")
	checkNames(d, "cluster", a.ClusterNames, field+".clusterNames")
	checkNames(d, "cluster", a.Exclude, field+".exclude")
}

func (d *document) checkLabelSelector(s *metav1.LabelSelector, field string) {
	if s == nil {
		return
	}
	d.checkLabels(s.MatchLabels, field+".matchLabels")
	for i, e := range s.MatchExpressions {
		field := index(field+".matchExpressions", i)
		if e.Key == "" {
			d.missing(field+".key", "")
		} else {
			d.checkLabel(e.Key, "", field+".key", "")
		}
		for j, value := range e.Values {
			d.checkLabel("key", value, "", index(field+".values", j))
		}
		if !d.oneOf(string(e.Operator), field+".operator", "In", "NotIn", "Exists", "DoesNotExist") {
			continue
		}
		listed := e.Operator == metav1.LabelSelectorOpIn || e.Operator == metav1.LabelSelectorOpNotIn
		switch {
		case listed && len(e.Values) == 0:
			d.missing(field+".values", "operators In and NotIn need at least one")
		case !listed && len(e.Values) > 0:
			d.refuse(field+".values", "remove them", "operator %s has no values", e.Operator)
		}
	}
}

func (d *document) checkFieldSelector(s *FieldSelector, field string) {
	if s == nil {
		return
	}
	for i, e := range s.MatchExpressions {
		field := index(field+".matchExpressions", i)
		d.oneOf(e.Key, field+".key", fieldProvider, fieldRegion, fieldZone)
		d.oneOf(e.Operator, field+".operator", operatorIn, operatorNotIn)
		if len(e.Values) == 0 {
			d.missing(field+".values", "name at least one "+e.Key)
		}
	}
}
