package fleet

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// checkPaths refuses paths of an app that do not lead to what they should.
func (a *assembly) checkPaths(p parsedApp) {
	const source = "spec.source.path"
	if found := a.lead(p, source, p.Source.Path); found != nil && !found.IsDir() && !isYAML(p.Source.Path) {
		a.refuse(p, source, "name a folder, or a file that ends in .yaml or .yml", "%q is no YAML file", p.Source.Path)
	}
	for i, rule := range p.Overrides {
		words := index("spec.overrides", i) + ".kustomize"
		for j, patch := range rule.Kustomize.Patches {
			a.checkPatchFile(p, index(words+".patches", j)+".path", patch)
		}
		for j, component := range rule.Kustomize.Components {
			field := index(words+".components", j)
			if found := a.lead(p, field, component); found != nil && !found.IsDir() {
				a.refuse(p, field, "name the folder of a kustomization of kind Component", "%q is a file", component)
			}
		}
	}
}

func (a *assembly) checkPatchFile(p parsedApp, field string, patch Patch) {
	found := a.lead(p, field, patch.Path)
	if found == nil {
		return
	}
	if found.IsDir() {
		a.refuse(p, field, "name the file of the patch", "%q is a folder", patch.Path)
		return
	}
	content, err := fs.ReadFile(a.repo, patch.Path)
	if err != nil {
		a.refuse(p, field, "", "read %q: %v", patch.Path, cause(err))
		return
	}
	if message, hint := wrongPatch(content, patch.Target); message != "" {
		a.refuse(p, field, hint, "%q: %s", patch.Path, message)
	}
}

// lead follows a path from the root of the repository and returns what is there,
// or nil after refusing it. Nothing on the way may be a symbolic link: it could
// lead out of the repository. An empty path has been refused before.
func (a *assembly) lead(p parsedApp, field, to string) fs.FileInfo {
	if to == "" {
		return nil
	}
	for end := 0; ; {
		next := strings.IndexByte(to[end:], '/')
		end += next
		if next < 0 {
			end = len(to)
		}
		found, err := fs.Lstat(a.repo, to[:end])
		switch {
		case errors.Is(err, fs.ErrNotExist):
			a.refuse(p, field, a.sibling(to[:end]), "%q does not exist", to[:end])
			return nil
		case err != nil:
			a.refuse(p, field, "", "look at %q: %v", to[:end], cause(err))
			return nil
		case !found.IsDir() && !found.Mode().IsRegular():
			a.refuse(p, field, "symbolic links are not followed: name the real path", "%q is %s", to[:end], irregular(found.Mode()))
			return nil
		case end == len(to):
			return found
		case !found.IsDir():
			a.refuse(p, field, "", "%q is a file, not a folder", to[:end])
			return nil
		}
		end++
	}
}

// sibling hints at a path beside one that does not exist.
func (a *assembly) sibling(missing string) string {
	entries, err := fs.ReadDir(a.repo, path.Dir(missing))
	if err != nil {
		return ""
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return didYouMean(path.Base(missing), names)
}

func (a *assembly) refuse(p parsedApp, field, hint, format string, args ...any) {
	a.problems = append(a.problems, p.problem(field, fmt.Sprintf(format, args...), hint))
}

// irregular names what is neither a file nor a folder.
func irregular(mode fs.FileMode) string {
	if mode&fs.ModeSymlink != 0 {
		return "a symbolic link"
	}
	return "neither a file nor a folder"
}

func isYAML(name string) bool {
	return strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

// cause returns what is below the path in an error of a file system, whose
// message would say the path again.
func cause(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}
