// Package observe watches what is in the cluster and says how it does. It is step
// 13 of one git push: health by watch and never by polling, foreign changes to what
// the agent applied, and the facts of the cluster.
package observe
