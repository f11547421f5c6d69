package dashboard

import (
	"strings"
	"testing"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// TestAgentOfSomeNamespaces: of a cluster whose agent sees some namespaces only, neither
// page nor metrics say that it has no nodes.
func TestAgentOfSomeNamespaces(t *testing.T) {
	s := small()
	s.cluster(fleet.Cluster{Name: "shared-1"}, 0)
	s.beats[3].Facts = wire.Facts{Kubernetes: "v1.36.3", Namespaces: []string{"blog", "shop"}, Pods: map[string]int{"Running": 2}}
	board := s.board()
	w := get(t, newStory(board), "/clusters/shared-1")
	for _, want := range []string{"not known", `<code class="label">blog</code>`, `<code class="label">shop</code>`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(w.Body.String(), "of 0 ready") {
		t.Error("the page says that there are no nodes")
	}
	metrics := scraped(t, board, 1000)
	if strings.Contains(metrics, `navarch_cluster_nodes{cluster="shared-1"`) || !strings.Contains(metrics, `navarch_cluster_nodes{cluster="eu-1"`) {
		t.Error("the metrics say nodes of the wrong clusters")
	}
	if !strings.Contains(metrics, `navarch_cluster_pods{cluster="shared-1",phase="Running"} 2`) {
		t.Error("the metrics do not say the pods")
	}
}
