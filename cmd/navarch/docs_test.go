package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestDocsSayWhatThereIs: every command that the documents show is one of ours, and
// has the flags that are written there.
func TestDocsSayWhatThereIs(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range append(pages, "../../README.md") {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, args := range commandsOf(string(content)) {
			found++
			checkCommand(t, filepath.Base(page), args)
		}
	}
	if found < 50 {
		t.Errorf("found %d commands only: the documents are written otherwise than they are read here", found)
	}
}

// commandsOf returns the arguments of each navarch in the blocks and between the
// backquotes of a page.
func commandsOf(page string) [][]string {
	var commands [][]string
	for i, block := range strings.Split(page, "```") {
		if i%2 == 1 {
			for line := range strings.Lines(strings.ReplaceAll(block, "\\\n", " ")) {
				commands = append(commands, argsOf(line)...)
			}
			continue
		}
		for n, quoted := range strings.Split(block, "`") {
			if n%2 == 1 {
				commands = append(commands, argsOf(quoted)...)
			}
		}
	}
	return commands
}

// argsOf returns the arguments of a line, if it runs navarch.
func argsOf(line string) [][]string {
	words := strings.Fields(line)
	if len(words) < 2 || !slices.Contains([]string{"navarch", "bin/navarch", "$navarch"}, words[0]) {
		return nil
	}
	end := slices.IndexFunc(words, func(word string) bool {
		return word == "|" || word == ">" || strings.HasPrefix(word, "#") || strings.HasPrefix(word, "2>")
	})
	if end < 0 {
		end = len(words)
	}
	return [][]string{words[1:end]}
}

func checkCommand(t *testing.T, page string, args []string) {
	t.Helper()
	cmd, rest, err := newRoot(strings.NewReader(""), os.Stdout, os.Stderr).Find(args)
	if err != nil || !cmd.HasParent() {
		t.Errorf("%s: navarch %s: there is no such command", page, strings.Join(args, " "))
		return
	}
	for _, word := range rest {
		name, _, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
		if strings.HasPrefix(word, "--") && !knows(cmd, name) {
			t.Errorf("%s: navarch %s: %s has no flag --%s", page, strings.Join(args, " "), cmd.CommandPath(), name)
		}
	}
}

func knows(cmd *cobra.Command, flag string) bool {
	return flag == "help" || cmd.Flags().Lookup(flag) != nil || cmd.InheritedFlags().Lookup(flag) != nil
}
