package sops

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Program is the name of the program that decrypts. It lies beside the agent.
const Program = "navarch-decrypt"

// request is what navarch-decrypt is asked. Its own module says what each field means.
type request struct {
	Identities  map[string]string `json:"identities,omitempty"`
	Environment map[string]string `json:"environment,omitempty"`
	Documents   []document        `json:"documents"`
}

type document struct {
	Format  string `json:"format"`
	Content []byte `json:"content"`
	Edited  bool   `json:"edited,omitempty"`
}

type answer struct {
	Documents []result `json:"documents,omitempty"`
	Problem   string   `json:"problem,omitempty"`
}

type result struct {
	Content []byte   `json:"content,omitempty"`
	Refusal string   `json:"refusal,omitempty"`
	At      string   `json:"at,omitempty"`
	Keys    []string `json:"keys,omitempty"`
	Said    string   `json:"said,omitempty"`
}

// longest is how long the program may take: key services are across a network.
const longest = time.Minute

// largest bounds its answer by what it was asked: encrypted is larger than plain, but for
// the spaces that SOPS puts into JSON.
func largest(asked int) int { return 1<<20 + 4*asked }

// inherited are the variables of the agent that the program has too: how to reach a
// network, and the identity that a cloud has given the agent's pod.
var inherited = []string{
	"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"AWS_REGION", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
	"AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST", "GOOGLE_APPLICATION_CREDENTIALS",
}

// errTooLong means that the program wrote too much.
var errTooLong = errors.New("its answer is too long")

// program is the one that decrypts.
type program struct{ path string }

// find returns the program at a path; where that is empty, beside the agent.
func find(path string) (program, error) {
	if path == "" {
		self, err := os.Executable()
		if err != nil {
			return program{}, fmt.Errorf("%w: %w", ErrNoProgram, err)
		}
		path = filepath.Join(filepath.Dir(self), Program)
	}
	if _, err := os.Stat(path); err != nil {
		return program{}, ErrNoProgram
	}
	return program{path}, nil
}

// ask starts the program for one request. What it writes besides its answer is thrown
// away, unread.
func (p program) ask(ctx context.Context, r request) ([]result, error) {
	asked, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("ask %s: the request cannot be encoded", Program)
	}
	defer clear(asked) // it holds keys
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cmd := exec.CommandContext(ctx, p.path)
	cmd.Env = []string{} // nil would be the agent's
	for _, name := range inherited {
		if value, set := os.LookupEnv(name); set {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	out := &bounded{most: largest(len(asked)), full: stop}
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.WaitDelay = "/", bytes.NewReader(asked), out, time.Second
	err = cmd.Run()
	switch {
	case errors.Is(context.Cause(ctx), errTooLong):
		return nil, fmt.Errorf("%s: %w", Program, errTooLong)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s took longer than %s (a key service that it asks may be out of reach)", Program, longest)
	case err != nil:
		return nil, fmt.Errorf("%s ended without an answer: %w (the app's encrypted objects may be too large for its memory)", Program, err)
	}
	var a answer
	if json.Unmarshal(out.said.Bytes(), &a) != nil || a.Problem == "" && len(a.Documents) != len(r.Documents) {
		return nil, fmt.Errorf("%s gave an answer of another version (install it together with the agent)", Program)
	}
	if a.Problem != "" {
		return nil, fmt.Errorf("%w: Secret %q: %s", ErrSealed, MoreKeys, a.Problem)
	}
	return a.Documents, nil
}

// bounded takes up to a number of bytes, and ends the program that writes more. The
// buffer is not embedded: its ReadFrom would be used past Write, and take everything.
type bounded struct {
	said bytes.Buffer
	most int
	full context.CancelCauseFunc
}

func (b *bounded) Write(more []byte) (int, error) {
	if b.said.Len()+len(more) > b.most {
		b.full(errTooLong)
		return 0, errTooLong
	}
	return b.said.Write(more)
}
