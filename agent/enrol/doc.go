// Package enrol makes the agent a member of its fleet and keeps it one.
//
// It stands before step 9 of one git push. The agent makes a key, which never leaves
// its cluster, and asks the hub to admit it: at first with the token of its install
// manifest, later by the key alone. See docs/joining.md for what people see of it.
package enrol
