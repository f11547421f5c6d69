package wire

import "strings"

// Line is what the administrator of a cluster runs to install its agent, from a hub
// whose dashboard has an address. It holds the token's secret.
func (t Token) Line(dashboard string) string {
	return "kubectl apply --server-side -f " + strings.TrimSuffix(dashboard, "/") + "/install/" + t.String()
}
