package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "rewrite the goldens")

func TestMain(m *testing.M) {
	version = "v0.0.0-test"
	testscript.Main(m, map[string]func(){"navarch": main})
}

// TestScript runs the command as people do. Each script is a story with its files
// and everything that is printed.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exitcode":  exitcode,
			"configmap": configMap,
			"manyfiles": manyFiles,
		},
	})
}

// exitcode CODE [ARG...]: runs navarch and compares its exit code, which exec only
// tells from 0.
func exitcode(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 1 {
		ts.Fatalf("usage: exitcode CODE [ARG...]")
	}
	code := exitOK
	err := ts.Exec("navarch", args[1:]...)
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("navarch: %v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("navarch %s: exit code %d, want %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// configmap FILE BYTES: writes a ConfigMap with that much data.
func configMap(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: configmap FILE BYTES")
	}
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	const head = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: big\ndata:\n  text: "
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(head+strings.Repeat("x", size)+"\n"), 0o644))
}

// manyfiles DIR COUNT: writes a kustomization of that many files, itself included.
func manyFiles(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: manyfiles DIR COUNT")
	}
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	var kustomization strings.Builder
	kustomization.WriteString("resources:\n")
	for i := range count - 1 {
		name := fmt.Sprintf("c%d.yaml", i)
		object := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c%d\n", i)
		ts.Check(os.WriteFile(ts.MkAbs(filepath.Join(args[0], name)), []byte(object), 0o644))
		kustomization.WriteString("- " + name + "\n")
	}
	ts.Check(os.WriteFile(ts.MkAbs(filepath.Join(args[0], "kustomization.yaml")), []byte(kustomization.String()), 0o644))
}

// TestEveryCommandExplainsItself looks at every command that we wrote ourselves.
func TestEveryCommandExplainsItself(t *testing.T) {
	root := newRoot(strings.NewReader(""), os.Stdout, os.Stderr)
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		if got := strings.Count("\n"+cmd.Example, "\n  # "); got < 3 {
			t.Errorf("%s has %d examples, want 3", cmd.CommandPath(), got)
		}
		if cmd.Short == "" || cmd.Long == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: want Short, without a full stop, and Long", cmd.CommandPath())
		}
		if cmd.Args == nil {
			t.Errorf("%s does not say which arguments it takes", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(root)
}
