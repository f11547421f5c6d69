// Package enrol holds who the hub is and says who its agents are.
//
// It stands before step 1 of one git push: the [Identity] is what steps 8 and 10
// are trusted by. It is the only thing of a hub that cannot be derived again. With
// it lost, every agent has to be installed again; with it copied, somebody else
// can deploy to every cluster.
package enrol
