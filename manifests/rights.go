package manifests

import (
	"cmp"
	"fmt"
	"slices"
)

// clusterAdmin is the object that gives the agent its whole cluster.
const clusterAdmin = "ClusterRoleBinding"

// limit takes the rights in the whole cluster off the objects of an agent, and lets it
// into its namespaces instead.
func (c AgentConfig) limit(b *base) error {
	if len(c.Namespaces) == 0 {
		return nil
	}
	granted, err := c.rights()
	if err != nil {
		return err
	}
	at := slices.Index(*b, b.find(clusterAdmin, "navarch-agent"))
	if at < 0 {
		return fmt.Errorf("the base has no %s of the agent", clusterAdmin)
	}
	*b = slices.Replace(*b, at, at+1, granted...)
	return nil
}

// rights returns what lets the agent into each of its namespaces.
func (c AgentConfig) rights() (base, error) {
	var all base
	for _, namespace := range c.Namespaces {
		if namespace == cmp.Or(c.Namespace, DefaultNamespace) {
			return nil, fmt.Errorf("namespace %q is the agent's own: it keeps its key there, and apps have no business in it", namespace)
		}
		one, err := readBase("namespace")
		if err != nil {
			return nil, err
		}
		for _, object := range one {
			at(object, "metadata.namespace").SetString(namespace)
			if account := at(object, "subjects.0.namespace"); account != nil && c.Namespace != "" {
				account.SetString(c.Namespace)
			}
		}
		all = append(all, one...)
	}
	return all, nil
}
