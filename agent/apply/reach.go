package apply

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/navarch/navarch/fleet"
)

// ErrOutside means that an object is not in one of the namespaces that the agent was
// let into. Nothing is asked of the API server about it.
var ErrOutside = errors.New("the agent of this cluster has no rights there")

// Within returns a client that touches objects of some namespaces only and shares
// everything else. With none it touches the whole cluster.
func (c *Client) Within(namespaces []string) *Client {
	within := *c
	within.namespaces = slices.Clone(namespaces)
	slices.Sort(within.namespaces)
	return &within
}

// Limited tells whether the client touches objects of some namespaces only: it then
// makes no namespaces.
func (c *Client) Limited() bool { return len(c.namespaces) > 0 }

// reaches returns an error, [ErrOutside], where an object is none of the client's.
func (c *Client) reaches(kind Kind, id fleet.ObjectID) error {
	if !c.Limited() {
		return nil
	}
	here := strings.Join(c.namespaces, ",")
	if !kind.Namespaced {
		return fmt.Errorf("%w: it is in no namespace, and the agent was installed for the namespaces %s only (have an administrator of the cluster apply it, "+
			"or install the agent with the whole cluster: navarch token create --profile cluster-admin)", ErrOutside, here)
	}
	if slices.Contains(c.namespaces, id.Namespace) {
		return nil
	}
	return fmt.Errorf("%w: it is in namespace %q, and the agent was installed for the namespaces %s only (install it with this one too: "+
		"navarch token create --profile namespaces --namespaces %s,%s)", ErrOutside, id.Namespace, here, here, id.Namespace)
}
