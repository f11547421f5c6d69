package main

import (
	"github.com/spf13/cobra"

	"github.com/navarch/navarch/manifests"
)

// tellOfTag tells who prints a manifest that its image can change under its name. Who
// has named the image need not be told.
func tellOfTag(cmd *cobra.Command, image string) {
	if !manifests.Pinned(image) && !cmd.Flags().Changed("image") {
		cmd.PrintErrf("Note: this build of navarch knows no digest of %s, so the manifest names it by its tag. Say --image with a digest to pin it.\n", image)
	}
}
