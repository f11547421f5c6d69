package overlays

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/navarch/navarch/fleet"
)

const (
	// sopsField is where SOPS keeps what it needs to know of a document.
	sopsField = "sops"
	// sealedMark begins every value that SOPS has encrypted.
	sealedMark = "ENC[AES256_GCM,"
)

// sealedBy tells whether the value of a document's field is what SOPS writes there.
func sealedBy(value any) bool {
	about, _ := value.(map[string]any)
	mac, _ := about["mac"].(string)
	return strings.HasPrefix(mac, sealedMark)
}

// sealedIdentity returns the field of an object's identity that is encrypted, and nothing
// where all of it can be read.
func sealedIdentity(object *yaml.Node) string {
	for _, keys := range [][]string{{"apiVersion"}, {"kind"}, {"metadata", "name"}, {"metadata", "namespace"}} {
		if strings.HasPrefix(scalar(object, keys...), sealedMark) {
			return strings.Join(keys, ".")
		}
	}
	return ""
}

// checkObjects refuses what no cluster could take, and notes the Secrets that anybody can
// read who reads the repository.
func (c *closure) checkObjects(file string, doc document) {
	c.problems = append(c.problems, doc.checkObjects(file)...)
	for _, object := range doc.items() {
		if scalar(object, "kind") != "Secret" || scalar(object, "apiVersion") != "v1" || value(object, sopsField) != nil {
			continue
		}
		for _, field := range []string{"data", "stringData"} {
			if values := value(object, field); values != nil && plainly(values) {
				c.notePlain(fleet.Problem{File: file, Line: doc.lineOf(object), Field: field}, scalar(object, "metadata", "name"))
				break
			}
		}
	}
}

// plainly tells whether any of a Secret's values is there to be read.
func plainly(values *yaml.Node) bool {
	for i := 1; i < len(values.Content); i += 2 {
		if text := follow(values.Content[i]).Value; text != "" && !strings.HasPrefix(text, sealedMark) {
			return true
		}
	}
	return false
}

// checkGenerators notes the Secrets that a kustomization makes of what is plain.
func (c *closure) checkGenerators(dir string, k *kustomization) {
	for i, generator := range k.SecretGenerator {
		if len(generator.LiteralSources) > 0 {
			c.notePlain(k.at("secretGenerator", i, "literals"), generator.Name)
			continue
		}
		var files []string
		for _, source := range generator.FileSources {
			files = append(files, sourcePath(source))
		}
		files = append(append(files, generator.EnvSources...), generator.EnvSource)
		for _, file := range files {
			content := c.files[path.Join(dir, file)]
			sealed := bytes.Contains(content, []byte(sealedMark)) && bytes.Contains(content, []byte(sopsField))
			if file != "" && len(bytes.TrimSpace(content)) > 0 && !sealed {
				c.notePlain(k.at("secretGenerator", i), generator.Name)
				break
			}
		}
	}
}

func (c *closure) notePlain(at fleet.Problem, name string) {
	at.Warning = true
	at.Message = fmt.Sprintf("Secret %q is plain: whoever can read the repository can read it", name)
	at.Hint = "encrypt it with sops for the clusters that run it, by the keys of `navarch clusters keys`"
	c.plainSecrets = append(c.plainSecrets, at)
}
