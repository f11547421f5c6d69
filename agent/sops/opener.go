package sops

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ErrSealed means that an object cannot be opened before somebody does something about
// its encryption or the cluster's keys.
var ErrSealed = errors.New("it is encrypted, and stays as it was")

// ErrNoProgram means that the program that decrypts is not where it should be.
var ErrNoProgram = fmt.Errorf("%w: %s is not beside navarch-agent (install both, or say --decrypter)", ErrSealed, Program)

// Opener opens objects. It is for any number of goroutines, and works for one at a time:
// its program takes memory.
type Opener struct {
	keys *Keys
	path string
	turn chan struct{}
}

// NewOpener returns an opener with the keys of the cluster. path is that of the program;
// empty: beside the agent.
func NewOpener(keys *Keys, path string) *Opener {
	return &Opener{keys: keys, path: path, turn: make(chan struct{}, 1)}
}

// Opened is a plain object, or why there is none.
type Opened struct {
	Object *unstructured.Unstructured
	Err    error
}

// Open opens sealed objects, all with one start of the program. The objects are not
// written to. The result has one entry for each.
func (p *Opener) Open(ctx context.Context, sealed []*unstructured.Unstructured) []Opened {
	opened := make([]Opened, len(sealed))
	if len(sealed) == 0 {
		return opened
	}
	var asked []document
	of := make([][]piece, len(sealed))
	for i, o := range sealed {
		of[i] = pieces(o)
		for _, piece := range of[i] {
			asked = append(asked, piece.document)
		}
	}
	results, err := p.ask(ctx, asked)
	for i, o := range sealed {
		if err != nil {
			opened[i].Err = fmt.Errorf("decrypt: %w", err)
			continue
		}
		plain := o.DeepCopy()
		for n, piece := range of[i] {
			if opened[i].Err = p.place(plain, piece, results[n]); opened[i].Err != nil {
				break
			}
		}
		results = results[len(of[i]):]
		if opened[i].Err == nil {
			opened[i].Object = plain
		}
	}
	return opened
}

// ask reads the keys and asks the program.
func (p *Opener) ask(ctx context.Context, documents []document) ([]result, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	program, err := find(p.path)
	if err != nil {
		return nil, err
	}
	r, err := p.keys.read(ctx)
	if err != nil {
		return nil, err
	}
	r.Documents = documents
	return program.ask(ctx, r)
}

// place puts what came of a piece into an object.
func (p *Opener) place(into *unstructured.Unstructured, piece piece, r result) error {
	err := p.refused(r)
	if err == nil {
		if err = piece.put(into, r.Content); err != nil {
			err = fmt.Errorf("%w: what it was encrypted from does not fit: %w", ErrSealed, err)
		}
	}
	if err != nil && piece.where != "" {
		return fmt.Errorf("%s: %w", piece.where, err)
	}
	return err
}

// refused says why a document was not decrypted; nil where it was.
func (p *Opener) refused(r result) error {
	switch r.Refusal {
	case "":
		return nil
	case "no-key":
		return fmt.Errorf("%w: it is encrypted for %s, and not for this cluster (add %s to .sops.yaml, run `sops updatekeys` and commit)",
			ErrSealed, strings.Join(r.Keys, ", "), p.keys.Recipient())
	case "unavailable":
		return fmt.Errorf("it is encrypted for %s, and the key service does not give the key: %s (it is asked again)", strings.Join(r.Keys, ", "), r.Said)
	case "value":
		return fmt.Errorf("%w: the value at %q is plain, was moved, or is another key's (set it with `sops edit`; no patch can set a value of an encrypted object)", ErrSealed, r.At)
	case "mac":
		return fmt.Errorf("%w: it was edited without sops (see what with `sops decrypt --ignore-mac`, and save it with `sops edit`)", ErrSealed)
	}
	return fmt.Errorf("%w: it is not what sops writes (encrypt it anew)", ErrSealed)
}
