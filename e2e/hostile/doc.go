// Package hostile is the suite of `make hostile`: an agent, a broker and a repository in
// the hands of somebody who means harm, each against the real other side. What each of
// them gains is what docs/threat-model.md says, which is checked here too.
package hostile
