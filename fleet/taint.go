package fleet

import "strings"

// The effects of taints and the operators of tolerations.
const (
	effectNoSchedule       = "NoSchedule"
	effectPreferNoSchedule = "PreferNoSchedule"
	effectNoExecute        = "NoExecute"
	operatorEqual          = "Equal"
	operatorExists         = "Exists"
)

// String gives "key=value:effect", as kubectl does.
func (t Taint) String() string {
	s := t.Key
	if t.Value != "" {
		s += "=" + t.Value
	}
	return s + ":" + t.Effect
}

// keepsOff tells whether a taint keeps apps off a cluster at all.
// PreferNoSchedule is a wish.
func (t Taint) keepsOff() bool {
	return t.Effect == effectNoSchedule || t.Effect == effectNoExecute
}

// tolerates tells whether t accepts a taint.
func (t Toleration) tolerates(taint Taint) bool {
	if t.Effect != "" && t.Effect != taint.Effect {
		return false
	}
	if t.Key != "" && t.Key != taint.Key {
		return false
	}
	switch t.Operator {
	case operatorExists:
		return true
	case "", operatorEqual:
		return t.Value == taint.Value
	}
	return false
}

// untolerated returns the first taint that keeps off whatever has only these
// tolerations.
func untolerated(taints []Taint, tolerations []Toleration) (Taint, bool) {
	for _, taint := range taints {
		if taint.keepsOff() && !tolerated(taint, tolerations) {
			return taint, true
		}
	}
	return Taint{}, false
}

func tolerated(taint Taint, tolerations []Toleration) bool {
	for _, t := range tolerations {
		if t.tolerates(taint) {
			return true
		}
	}
	return false
}

// toleratedText says for people which taints had to be tolerated, or "".
func toleratedText(taints []Taint) string {
	var names []string
	for _, taint := range taints {
		if taint.keepsOff() {
			names = append(names, taint.String())
		}
	}
	if names == nil {
		return ""
	}
	return "tolerates " + strings.Join(names, ", ")
}
