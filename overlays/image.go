package overlays

import (
	_ "crypto/sha256" // digests of images
	_ "crypto/sha512" // digests of images
	"fmt"
	"regexp"
	"strings"

	imagename "github.com/distribution/reference"

	"github.com/navarch/navarch/fleet"
)

// image is the name of a container image in parts. A name may have a tag, a
// digest, both or neither.
type image struct {
	registry, repository, tag, digest string
}

// parseImage takes a name apart. The first segment is a registry when it could not
// be anything else; there is no default registry.
// (karmada pkg/util/imageparser/parser.go)
func parseImage(name string) (image, error) {
	parsed, err := imagename.Parse(name)
	if err != nil {
		return image{}, fmt.Errorf("image %q: %w", name, err)
	}
	var i image
	if named, ok := parsed.(imagename.Named); ok {
		i.repository = named.Name()
		first, rest, found := strings.Cut(i.repository, "/")
		if found && (strings.ContainsAny(first, ".:") || first == "localhost") {
			i.registry, i.repository = first, rest
		}
	}
	if tagged, ok := parsed.(imagename.Tagged); ok {
		i.tag = tagged.Tag()
	}
	if digested, ok := parsed.(imagename.Digested); ok {
		i.digest = digested.Digest().String()
	}
	return i, nil
}

// String puts the name together again.
func (i image) String() string {
	name := i.repository
	if i.registry != "" {
		name = i.registry + "/" + name
	}
	if i.tag != "" {
		name += ":" + i.tag
	}
	if i.digest != "" {
		name += "@" + i.digest
	}
	return name
}

var (
	wholeTag    = regexp.MustCompile(`^(?:` + imagename.TagRegexp.String() + `)$`)
	wholeDigest = regexp.MustCompile(`^(?:` + imagename.DigestRegexp.String() + `)$`)
)

// version returns the tag, or else the digest.
func (i image) version() string {
	if i.tag != "" {
		return i.tag
	}
	return i.digest
}

// withVersion sets the tag or the digest, whichever s is, and drops the other. It
// leaves i alone when s is neither.
func (i image) withVersion(s string) image {
	switch {
	case wholeTag.MatchString(s):
		i.tag, i.digest = s, ""
	case wholeDigest.MatchString(s):
		i.tag, i.digest = "", s
	}
	return i
}

// overrideImage applies one overrider to the name of an image. Adding appends
// text to the component. (karmada pkg/util/overridemanager/imageoverride.go)
//
// It departs from Karmada in one point: a name with a tag and a digest keeps its
// digest when the registry or repository changes. Karmada drops it without a word,
// and with it the pin.
func overrideImage(name string, o fleet.ImageOverrider) (string, error) {
	i, err := parseImage(name)
	if err != nil {
		return "", err
	}
	changed := func(current string) string {
		switch o.Operator {
		case "add":
			return current + o.Value
		case "replace":
			return o.Value
		}
		return ""
	}
	switch o.Component {
	case "Registry":
		i.registry = changed(i.registry)
	case "Repository":
		i.repository = changed(i.repository)
	case "Tag":
		if o.Operator == "remove" {
			i.tag, i.digest = "", ""
			break
		}
		i = i.withVersion(changed(i.version()))
	default:
		return "", fmt.Errorf("an image has no component %q: use Registry, Repository or Tag", o.Component)
	}
	return i.String(), nil
}
