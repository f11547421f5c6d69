package stories

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
)

// gitVerbs are about how the repository is reached, and who signs what is in it.
var gitVerbs = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"use-ssh":     plain(useSSH),
	"known-hosts": plain(knownHosts),
	"verify":      plain(verify),
	"sign":        plain(sign),
}

// use-ssh has the hub and the clone reach the repository by ssh from now on.
func useSSH(ctx context.Context, ts *testscript.TestScript, s *story, _ []string) error {
	file, err := s.UseSSH(ctx)
	ts.Setenv("KNOWN_HOSTS", file)
	return err
}

// known-hosts forget|right makes the hub forget the Git server's host key, or know it.
func knownHosts(_ context.Context, ts *testscript.TestScript, s *story, args []string) error {
	content := ""
	switch {
	case s.SSH == nil:
		return errors.New("the repository is not reached by ssh")
	case args[0] == "right":
		content = s.SSH.KnownHosts()
	case args[0] != "forget":
		return fmt.Errorf("known-hosts %q: want forget or right", args[0])
	}
	return os.WriteFile(ts.Getenv("KNOWN_HOSTS"), []byte(content), 0o600)
}

// verify NAME has the hub deploy only what NAME has signed.
func verify(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	return s.VerifyCommits(ctx, args[0])
}

// sign NAME has commits from now on signed by NAME; nobody by nobody.
func sign(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	if args[0] == "nobody" {
		return s.SignAs(ctx, "")
	}
	return s.SignAs(ctx, args[0])
}
