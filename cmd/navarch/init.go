package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

//go:embed scaffold
var scaffold embed.FS

func newInit() *cobra.Command {
	return &cobra.Command{
		Use:     "init [DIR]",
		GroupID: "repository",
		Short:   "Scaffold a fleet repository",
		Long: `Scaffold a fleet repository in a folder: three clusters, and an app that shows
placement by label and a difference by region. What is written passes
'navarch check'.

No file is ever overwritten. A README.md that exists is kept; any other file in
the way stops the command before anything is written.`,
		Example: `  # in the checkout of a new, empty repository
  navarch init

  # in a folder of its own, made when it is absent
  navarch init fleet

  # and see what each cluster would get
  navarch init fleet && navarch render fleet -o rendered && kubectl kustomize rendered/clusters/eu-1`,
		Args: folderArg,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error { return scaffoldInto(cmd, folder(args)) },
	}
}

func scaffoldInto(cmd *cobra.Command, dir string) error {
	files, err := scaffoldFor(dir)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	for _, name := range files {
		if err := writeScaffold(dir, name); err != nil {
			return fmt.Errorf("write the scaffold: %w (remove what was written and try again)", err)
		}
		if _, err := fmt.Fprintln(out, "wrote", filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	_, err = fmt.Fprint(out, nextSteps(dir))
	return err
}

// scaffoldFor returns the files to write, or an error that names all that are in
// the way.
func scaffoldFor(dir string) ([]string, error) {
	var files, inTheWay []string
	err := fs.WalkDir(scaffold, "scaffold", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name := strings.TrimPrefix(path, "scaffold/")
		_, err = os.Lstat(filepath.Join(dir, filepath.FromSlash(name)))
		switch {
		case errors.Is(err, os.ErrNotExist):
			files = append(files, name)
		case err != nil:
			return err
		case name != "README.md":
			inTheWay = append(inTheWay, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("scaffold into %q: %w", dir, err)
	}
	if len(inTheWay) > 0 {
		return nil, fmt.Errorf("%q already has %s: nothing was written (choose another folder, or move these away)", dir, strings.Join(inTheWay, ", "))
	}
	return files, nil
}

func writeScaffold(dir, name string) error {
	content, err := scaffold.ReadFile("scaffold/" + name)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a repository is for everybody to read
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // as above
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}

func nextSteps(dir string) string {
	into, here := "", ""
	if dir != "." {
		into, here = "cd "+dir+" && ", " "+dir
	}
	return fmt.Sprintf(`
Next:
  1. Describe your own clusters in clusters/, and look at apps/hello/app.yaml.
  2. navarch check%s
  3. %sgit init -b main && git add . && git commit -m "Begin the fleet", and push it to your Git server.
  4. navarch install hub --help      # once
  5. navarch install agent --help    # for each cluster
`, here, into)
}
