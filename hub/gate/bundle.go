package gate

import (
	"fmt"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/navarch/navarch/fleet"
)

// BundleName is the name of the access file in a bundle.
const BundleName = "access.yaml"

// Bundle reads an access file and the files that it names, to take them elsewhere: it
// returns their contents by the names that they must have there, in one folder. It
// refuses what [ReadFile] does, and paths of files that are not in the folder of the
// access file, because they would lead nowhere. Its errors are [fleet.Problems].
func Bundle(name string) (map[string][]byte, error) {
	content, err := readContent(name)
	if err != nil {
		return nil, err
	}
	s, problems := parse(name, content)
	if s.OIDC != nil && problems.Err() == nil {
		if problems = s.OIDC.elsewhere(name); problems.Err() == nil {
			problems = s.OIDC.readFiles(name)
		}
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	bundle := map[string][]byte{}
	if s.OIDC != nil {
		for _, f := range s.OIDC.files() {
			bundle[f.path] = f.content
		}
	}
	bundle[BundleName] = content
	return bundle, nil
}

// elsewhere finds the files that are not beside the access file.
func (o *OIDC) elsewhere(name string) fleet.Problems {
	var problems fleet.Problems
	for _, f := range o.files() {
		var why string
		switch {
		case f.path == BundleName:
			why = "is what the access file itself is called where the hub runs"
		case strings.ContainsRune(f.path, filepath.Separator):
			why = "is not beside the access file, and the hub would not find it where it runs"
		case len(validation.IsConfigMapKey(f.path)) > 0:
			why = "cannot be the name of a file in a Secret"
		default:
			continue
		}
		problems = append(problems, fleet.Problem{
			File: name, Line: f.line, Field: f.field, Message: fmt.Sprintf("%q %s", f.path, why),
			Hint: "put the file into the folder of the access file and write its name alone, as in oidc-secret",
		})
	}
	return problems
}
