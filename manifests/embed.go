package manifests

import (
	"embed"
	"io/fs"
)

//go:embed agent/*.yaml namespace/*.yaml hub/*.yaml hub/navarch-hub.service
var files embed.FS

// Bases holds the kustomize bases: the folders agent, namespace and hub.
func Bases() fs.FS { return files }
