// Command navarch is what people type: it scaffolds a fleet repository, checks
// and renders it with the code that the hub runs (steps 2 to 5 of one git push),
// prints what has to be installed, and shows and releases what a hub knows.
//
// Each command has a file of its own. [run] gives the exit code: 0 when all is
// well, 1 when there is a problem, 2 when the command was typed wrong.
package main
