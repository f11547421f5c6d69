package main

import (
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// The parts of SPDX 2.3 that a bill of materials of Go programs has.
type (
	spdxDocument struct {
		Version       string             `json:"spdxVersion"`
		License       string             `json:"dataLicense"`
		ID            string             `json:"SPDXID"`
		Name          string             `json:"name"`
		Namespace     string             `json:"documentNamespace"`
		Creation      spdxCreation       `json:"creationInfo"`
		Packages      []spdxPackage      `json:"packages"`
		Relationships []spdxRelationship `json:"relationships"`
	}
	spdxCreation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	spdxPackage struct {
		ID        string         `json:"SPDXID"`
		Name      string         `json:"name"`
		Version   string         `json:"versionInfo,omitempty"`
		Supplier  string         `json:"supplier,omitempty"`
		Download  string         `json:"downloadLocation"`
		Analyzed  bool           `json:"filesAnalyzed"`
		Concluded string         `json:"licenseConcluded"`
		Declared  string         `json:"licenseDeclared"`
		Copyright string         `json:"copyrightText"`
		Purpose   string         `json:"primaryPackagePurpose,omitempty"`
		Checksums []spdxChecksum `json:"checksums,omitempty"`
		Comment   string         `json:"comment,omitempty"`
		External  []spdxExternal `json:"externalRefs,omitempty"`
	}
	spdxChecksum struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	}
	spdxExternal struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	spdxRelationship struct {
		From string `json:"spdxElementId"`
		Type string `json:"relationshipType"`
		To   string `json:"relatedSpdxElement"`
	}
)

const unknown = "NOASSERTION"

// bill returns the bill of materials of an image's programs, as they themselves say
// what they were built from: SPDX in JSON. It follows from the programs alone.
func (b *built) bill(platform v1.Platform, programs []compiledProgram) ([]byte, error) {
	document := spdxDocument{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: "SPDXRef-DOCUMENT",
		Name:     fmt.Sprintf("%s %s for %s", b.image.Name, b.release.Version, platform),
		Creation: spdxCreation{Created: b.release.Time.Format(time.RFC3339), Creators: []string{"Tool: navarch-images"}},
	}
	whole := sha256.New()
	known := map[string]bool{}
	for _, p := range programs {
		content, err := os.ReadFile(p.File)
		if err != nil {
			return nil, err
		}
		info, err := buildinfo.ReadFile(p.File)
		if err != nil {
			return nil, fmt.Errorf("read what %q was built from: %w", p.Name, err)
		}
		sum := sha256.Sum256(content)
		whole.Write(sum[:])
		main := b.programPackage(p, info, hex.EncodeToString(sum[:]))
		document.Packages = append(document.Packages, main)
		document.relate(document.ID, "DESCRIBES", main.ID)
		for _, dependency := range dependencies(info) {
			if !known[dependency.ID] {
				known[dependency.ID] = true
				document.Packages = append(document.Packages, dependency)
			}
			document.relate(main.ID, "DEPENDS_ON", dependency.ID)
		}
	}
	document.Namespace = source + "/sbom/" + b.image.Name + "-" + hex.EncodeToString(whole.Sum(nil))
	encoded, err := json.MarshalIndent(document, "", "  ")
	return append(encoded, '\n'), err
}

func (d *spdxDocument) relate(from, how, to string) {
	d.Relationships = append(d.Relationships, spdxRelationship{from, how, to})
}

// programPackage is a program of ours.
func (b *built) programPackage(p compiledProgram, info *debug.BuildInfo, sum string) spdxPackage {
	return spdxPackage{
		ID: spdxID("Program", p.Name, ""), Name: p.Name, Version: b.release.Version, Download: "git+" + source + "@" + b.release.Revision,
		Supplier: "Organization: Navarch", Concluded: "Apache-2.0", Declared: "Apache-2.0", Copyright: unknown, Purpose: "APPLICATION",
		Checksums: []spdxChecksum{{"SHA256", sum}},
		External:  []spdxExternal{purl(info.Main.Path, b.release.Version)},
	}
}

// dependencies are Go's standard library and the modules in a program, by path.
func dependencies(info *debug.BuildInfo) []spdxPackage {
	modules := slices.Clone(info.Deps)
	slices.SortFunc(modules, func(a, b *debug.Module) int { return cmp.Compare(a.Path, b.Path) })
	all := []spdxPackage{dependency("stdlib", strings.TrimPrefix(info.GoVersion, "go"), "https://go.dev/dl/", "")}
	for _, m := range modules {
		if m.Replace != nil {
			m = m.Replace
		}
		all = append(all, dependency(m.Path, m.Version, unknown, m.Sum))
	}
	return all
}

func dependency(path, version, from, sum string) spdxPackage {
	p := spdxPackage{
		ID: spdxID("Module", path, version), Name: path, Version: version, Download: from,
		Concluded: unknown, Declared: unknown, Copyright: unknown, Purpose: "LIBRARY",
		External: []spdxExternal{purl(path, version)},
	}
	if sum != "" {
		p.Comment = "go.sum: " + sum
	}
	return p
}

func purl(path, version string) spdxExternal {
	return spdxExternal{"PACKAGE-MANAGER", "purl", "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")}
}

// spdxID makes an identifier of what SPDX allows in one.
func spdxID(kind, path, version string) string {
	return "SPDXRef-" + kind + "-" + regexp.MustCompile(`[^A-Za-z0-9.-]`).ReplaceAllString(strings.Trim(path+"-"+version, "-"), "-")
}
