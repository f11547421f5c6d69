package env

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// BuildSops builds SOPS's own command, of the version that navarch-decrypt is made of, and
// returns where it is: beside the other programs.
func (t Tools) BuildSops(ctx context.Context) (string, error) {
	folder, err := decryptFolder(ctx)
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(t.Decrypt), "sops")
	build := exec.CommandContext(ctx, "go", "build", "-C", folder, "-trimpath", "-ldflags", "-s -w", "-o", path, "github.com/getsops/sops/v3/cmd/sops")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build sops: %w\n%s", err, out)
	}
	return path, nil
}

// Leaks returns where in a fleet a text is that should be nowhere but in the Secrets of
// apps: in what the hub and the agents keep, say and serve. It looks into what is
// compressed, and for the text in base64 too. Pages are paths of the hub's to look at;
// served: it looks at nothing but what is served, said and told.
func (f *Fleet) Leaks(ctx context.Context, text string, served bool, pages []string) ([]string, error) {
	s := NewSearch(text)
	for _, path := range pages {
		content, err := f.Hub.Fetch(ctx, path)
		if err != nil {
			return nil, err
		}
		s.Look("page "+path, content)
	}
	for _, program := range f.Programs() {
		content, err := os.ReadFile(program.Log)
		if err != nil {
			return nil, err
		}
		s.Look("log of "+program.Name, content)
	}
	for _, member := range f.Members {
		if err := s.member(ctx, member, served); err != nil {
			return nil, err
		}
	}
	if served {
		return s.Found, nil
	}
	folders := []string{f.Hub.Data}
	for _, agent := range f.Agents {
		folders = append(folders, agent.dir)
	}
	for _, folder := range folders {
		if err := s.Folder(folder); err != nil {
			return nil, err
		}
	}
	return s.Found, nil
}

// Search looks for a text, also in base64 and in what is compressed, and remembers where
// it was.
type Search struct {
	Found []string
	texts [][]byte
}

// NewSearch returns a search for a text.
func NewSearch(text string) *Search {
	s := &Search{texts: [][]byte{[]byte(text)}}
	for shift := range 3 { // how it comes out depends on what stands before it
		encoded := base64.StdEncoding.EncodeToString(append(make([]byte, shift), text...))
		s.texts = append(s.texts, []byte(encoded[(shift*8+5)/6:(shift+len(text))*8/6]))
	}
	return s
}

// Look looks into content as it is.
func (s *Search) Look(where string, content []byte) {
	for _, text := range s.texts {
		if bytes.Contains(content, text) {
			s.Found = append(s.Found, where)
			return
		}
	}
}

// frame begins what zstd has compressed.
var frame = []byte{0x28, 0xb5, 0x2f, 0xfd}

// Unpacked looks into content, and into every compressed frame in it.
func (s *Search) Unpacked(where string, content []byte) error {
	s.Look(where, content)
	reader, err := zstd.NewReader(nil)
	if err != nil {
		return err
	}
	defer reader.Close()
	for from := 0; ; from++ {
		at := bytes.Index(content[from:], frame)
		if at < 0 {
			return nil
		}
		from += at
		plain, _ := reader.DecodeAll(content[from:], nil) // what comes after the frame is an error, and what came before it is here
		s.Look(where+" (unpacked)", plain)
	}
}

// Folder looks into every file below a folder.
func (s *Search) Folder(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // it went while we looked
			}
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return s.Unpacked(path, content)
	})
}

// member looks into what an agent leaves in its cluster: everything that more people may
// read than Secrets, and the Secrets of its own namespace.
func (s *Search) member(ctx context.Context, m *Member, served bool) error {
	var maps corev1.ConfigMapList
	var events corev1.EventList
	var secrets corev1.SecretList
	if err := errors.Join(m.Client.List(ctx, &maps), m.Client.List(ctx, &events), m.Client.List(ctx, &secrets, client.InNamespace("navarch-system"))); err != nil {
		return err
	}
	for _, each := range maps.Items {
		for key, value := range each.Data {
			s.Look(fmt.Sprintf("ConfigMap %s/%s %s in %s", each.Namespace, each.Name, key, m.Name), []byte(value))
		}
	}
	for _, each := range events.Items {
		s.Look(fmt.Sprintf("Event of %s/%s in %s", each.Namespace, each.InvolvedObject.Name, m.Name), []byte(each.Message))
	}
	if served {
		return nil
	}
	for _, each := range secrets.Items {
		for key, value := range each.Data {
			if err := s.Unpacked(fmt.Sprintf("Secret %s/%s %s in %s", each.Namespace, each.Name, key, m.Name), value); err != nil {
				return err
			}
		}
	}
	return nil
}

// decryptFolder is where the module of navarch-decrypt lies.
func decryptFolder(ctx context.Context) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/navarch/navarch").Output()
	if err != nil {
		return "", fmt.Errorf("find the sources: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(root)), "cmd", "decrypt"), nil
}
