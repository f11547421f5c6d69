// Command bench measures how long a commit takes until it runs on real members, and
// what that costs, beside a floor measured in the same run: the same patches sent by
// a bare client, 16 at once. Where it is asked to, it has the same objects applied by
// somebody else as well, on the same members.
//
// The clock of a commit starts when `git push` is called and stops when an
// independent watcher on every member has seen every changed object. It prints a
// table and one JSON line a scenario.
package main
