package repo_test

import (
	"fmt"
	"io/fs"
	"testing"
)

// BenchmarkFetch measures step 1 against a real server on this machine, whose
// processes for each request are part of the time.
func BenchmarkFetch(b *testing.B) {
	for _, apps := range []int{100, 1000} {
		s := newStage(b)
		s.publish(b, fleetFiles(apps))
		b.Run(fmt.Sprintf("first/apps=%d", apps), func(b *testing.B) {
			for b.Loop() {
				s.dir = b.TempDir()
				fetch(b, s.open(b))
			}
		})
		s.dir = b.TempDir()
		r := s.open(b)
		fetch(b, r)
		b.Run(fmt.Sprintf("opened/apps=%d", apps), func(b *testing.B) {
			for b.Loop() {
				fetch(b, s.open(b))
			}
		})
		b.Run(fmt.Sprintf("nothing/apps=%d", apps), func(b *testing.B) {
			for b.Loop() {
				if _, changed, err := r.Fetch(b.Context()); changed || err != nil {
					b.Fatal(changed, err)
				}
			}
		})
		mark := 0
		b.Run(fmt.Sprintf("one/apps=%d", apps), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				mark++
				app := mark % apps
				path := fmt.Sprintf("apps/app-%04d/base/objects.yaml", app)
				s.publish(b, map[string]string{path: manifest(app, mark)})
				b.StartTimer()
				if content, err := fetch(b, r).Tree.ReadFile(path); string(content) != manifest(app, mark) {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTree measures what a hub does with every commit: it walks the whole
// tree and compares ids, and it reads what has changed.
func BenchmarkTree(b *testing.B) {
	s := newStage(b)
	s.publish(b, fleetFiles(1000))
	tree := fetch(b, s.open(b)).Tree
	b.Run("walk", func(b *testing.B) {
		for b.Loop() {
			files := 0
			err := fs.WalkDir(tree, ".", func(path string, _ fs.DirEntry, err error) error {
				if _, found := tree.Hash(path); found {
					files++
				}
				return err
			})
			if err != nil || files < 3000 {
				b.Fatal(files, err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			if _, err := tree.ReadFile("apps/app-0500/base/objects.yaml"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
