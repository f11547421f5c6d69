package fleet

import (
	"fmt"
	"io/fs"
	"strings"
)

// Load reads the definition of a fleet from its repository. All problems are
// returned at once, sorted; when one of them is more than a warning there is no
// definition. A repository without fleet documents gives an empty definition.
//
// It is [Find], [Parse] and [Assemble]: a caller that loads similar repositories
// again and again may keep what Parse returned for files that stayed the same.
func Load(repo fs.FS) (Definition, Problems) {
	files, problems := Find(repo)
	parsed := make([]Parsed, 0, len(files))
	for _, file := range files {
		content, err := fs.ReadFile(repo, file)
		if err != nil {
			problems = append(problems, Problem{File: file, Message: fmt.Sprintf("cannot be read: %v", cause(err))})
			continue
		}
		parsed = append(parsed, Parse(file, content))
	}
	def, more := Assemble(parsed, repo)
	problems = append(problems, more...).Sorted()
	if problems.Err() != nil {
		return Definition{}, problems
	}
	return def, problems
}

// Find lists the files of a repository that may define something, sorted. What it
// cannot look at is a problem, never merely absent: an app that is gone is an app
// to delete.
func Find(repo fs.FS) ([]string, Problems) {
	var files []string
	var problems Problems
	// The function below returns no error but to skip, so neither does the walk.
	_ = fs.WalkDir(repo, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			problems = append(problems, Problem{File: name, Message: fmt.Sprintf("cannot be read: %v", cause(err))})
			return nil
		case entry.IsDir() && entry.Name() == ".git":
			return fs.SkipDir
		case entry.IsDir() || !IsDocument(name):
			return nil
		case !entry.Type().IsRegular():
			problems = append(problems, Problem{
				File: name, Message: "is " + irregular(entry.Type()),
				Hint: "symbolic links are not followed: put the file itself here",
			})
			return nil
		}
		files = append(files, name)
		return nil
	})
	return files, problems
}

// IsDocument tells whether a file with this path is one that [Parse] should see.
func IsDocument(name string) bool {
	return (isYAML(name) || isKustomization(name)) && !strings.HasPrefix(name, ".git/") && !strings.Contains(name, "/.git/")
}
