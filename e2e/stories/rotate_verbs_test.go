package stories

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"

	"github.com/rogpeppe/go-internal/testscript"
)

// listed REGEXP waits until a line of `navarch clusters list` matches.
func listed(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	pattern, err := regexp.Compile("(?m)" + args[0])
	if err != nil {
		return err
	}
	return until(ctx, func() error {
		list, err := exec.CommandContext(ctx, s.Tools.Navarch, "clusters", "list", "--identity", s.Hub.Identity, "--hub", s.Hub.URL).CombinedOutput()
		if err == nil && !pattern.Match(list) {
			err = fmt.Errorf("no line matches %q", args[0])
		}
		if err != nil {
			return fmt.Errorf("%w in\n%s", err, list)
		}
		return nil
	})
}
