// Command images builds the images of Navarch for every platform, without a Docker
// daemon: it compiles the programs, puts each with its bill of materials into an image
// that holds nothing else, and writes the images as OCI layouts and archives or pushes
// them to a registry. The same source gives the same bytes.
//
// The agent's image is built first: its digest is linked into the hub and the command
// navarch, whose manifests name the image by it. That of the hub is linked into the
// command, which is built last.
package main
