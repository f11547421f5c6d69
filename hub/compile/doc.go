// Package compile takes the files of a fleet repository through steps 2 to 5 of one
// git push: it loads the definition, decides, renders and builds. The hub does it
// for every commit and whenever what it observes decides otherwise; the command
// line does it for a checkout, by the same code.
package compile
