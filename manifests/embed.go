package manifests

import (
	"embed"
	"io/fs"
)

//go:embed agent/*.yaml hub/*.yaml hub/navarch-hub.service
var files embed.FS

// Bases holds the kustomize bases: the folders agent and hub.
func Bases() fs.FS { return files }
