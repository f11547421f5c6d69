package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/navarch/navarch/overlays"
)

// renderMark is the file that makes a folder a render, and renderStage the folder
// in it where the next one grows.
const (
	renderMark  = ".navarch-render"
	renderStage = ".navarch-render.new"
)

// renderParts are the folders of a render. Nothing else in it is ours.
var renderParts = []string{"bases", "clusters"}

// writeRender replaces the render in dir, or makes it. The new one is complete
// before the first folder of the old one goes, so whatever fails on the way (a full
// disk) leaves the old one as it was.
func writeRender(dir string, files overlays.Files) error {
	if err := mayRender(dir); err != nil {
		return err
	}
	stage := filepath.Join(dir, renderStage)
	if err := os.RemoveAll(stage); err != nil {
		return fmt.Errorf("clear what an interrupted render left: %w", err)
	}
	defer os.RemoveAll(stage)
	for _, name := range files.Paths() {
		if err := writeFile(filepath.Join(stage, "new", filepath.FromSlash(name)), files[name]); err != nil {
			return fmt.Errorf("write the render: %w", err)
		}
	}
	const mark = "Written by `navarch render`, which replaces the folders bases and clusters beside this file.\n"
	if err := writeFile(filepath.Join(dir, renderMark), []byte(mark)); err != nil {
		return fmt.Errorf("write the render: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(stage, "old"), 0o755); err != nil { //nolint:gosec // as writeFile
		return fmt.Errorf("write the render: %w", err)
	}
	for _, part := range renderParts {
		target := filepath.Join(dir, part)
		if err := os.Rename(target, filepath.Join(stage, "old", part)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("replace the former render: %w", err)
		}
		if err := os.Rename(filepath.Join(stage, "new", part), target); err != nil {
			return fmt.Errorf("replace the former render: %w", err)
		}
	}
	return nil
}

// mayRender refuses a folder that holds something else than a render.
func mayRender(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("render into %q: %w (name a folder)", dir, err)
	}
	if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == renderMark }) {
		return nil
	}
	for _, entry := range entries {
		if entry.Name() != ".git" && entry.Name() != renderStage { // a repository for renders, and one that was interrupted
			return fmt.Errorf("render into %q: it holds %q and is no former render: nothing was written (name a new or empty folder)", dir, entry.Name())
		}
	}
	return nil
}

// writeFile writes a file for everybody to read, and its folder.
func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // what is in Git is for everybody to read
		return err
	}
	return os.WriteFile(path, content, 0o644) //nolint:gosec // as above
}
