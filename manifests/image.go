package manifests

import (
	"regexp"
	"strings"
)

// What the linker sets in programs that belong to published images.
var (
	registry    = "ghcr.io/navarch"
	agentDigest string // empty: not known
	hubDigest   string
)

// AgentImage returns the image of an agent of a version, by its digest where this
// program was built with it.
func AgentImage(version string) string { return published("navarch-agent", version, agentDigest) }

// HubImage returns the image of a hub of a version, by its digest where this program was
// built with it.
func HubImage(version string) string { return published("navarch-hub", version, hubDigest) }

func published(name, version, digest string) string {
	if version == "" || version == "dev" {
		version = "latest"
	}
	address := registry + "/" + name + ":" + regexp.MustCompile(`[^A-Za-z0-9._-]`).ReplaceAllString(version, "-")
	if digest != "" {
		address += "@" + digest
	}
	return address
}

// Pinned tells whether an image is named by its digest: a tag can be moved.
func Pinned(address string) bool { return strings.Contains(address, "@sha256:") }

// image is where an image is found. A digest, where there is one, says which bytes it
// has; the tag beside it is then for people.
type image struct {
	Name    string `yaml:"name"`
	NewName string `yaml:"newName"`
	NewTag  string `yaml:"newTag,omitempty"`
	Digest  string `yaml:"digest,omitempty"`
}

// cutImage splits the address of an image into what kustomize calls its parts. A colon
// before a slash is that of a port.
func cutImage(address string) (parts image, ok bool) {
	name, digest, _ := strings.Cut(address, "@")
	tag := ""
	if i := strings.LastIndexByte(name, ':'); i >= 0 && !strings.Contains(name[i:], "/") {
		name, tag = name[:i], name[i+1:]
	}
	return image{NewName: name, NewTag: tag, Digest: digest}, name != "" && (tag != "" || digest != "")
}
