package fleet

import "math"

// unlimited is how many replicas fit where nothing bounds them.
const unlimited = math.MaxInt32

// pods is the resource that bounds how many pods a node takes.
const pods = "pods"

// Fits returns how many more replicas with these requests fit on some nodes, node by
// node: what is free on two nodes does not add up to a place for one replica. What
// agents say may be anything, and never makes more than [unlimited].
func Fits(nodes []NodeGroup, requests Resources) int64 {
	var total int64
	for _, group := range nodes {
		fit := group.Free[pods]
		for name, amount := range requests {
			if amount > 0 && name != pods {
				fit = min(fit, group.Free[name]/amount)
			}
		}
		if fit <= 0 || group.Count <= 0 {
			continue
		}
		if fit > (unlimited-total)/group.Count {
			return unlimited
		}
		total += fit * group.Count
	}
	return total
}
