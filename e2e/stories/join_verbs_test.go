package stories

import (
	"context"
	"fmt"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

// joinVerbs are about how clusters come into the fleet.
var joinVerbs = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"join":       plain(join),
	"forget-key": plain(forgetKey),
	"admitted":   plain(admitted),
	"listed":     plain(listed),
}

// join CLUSTER [FLAG...] installs the cluster's agent again, with a new token.
func join(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	return s.Hub.Rejoin(ctx, s.Agents[args[0]], args[1:]...)
}

// forget-key CLUSTER restarts the cluster's agent without the key that it made.
func forgetKey(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	return s.Agents[args[0]].ForgetKey(ctx)
}

// admitted CLUSTER N waits until the hub has admitted the cluster's agent N times.
func admitted(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	want, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	return until(ctx, func() error {
		if got := s.Agents[args[0]].Admitted(); got < want {
			return fmt.Errorf("the agent of cluster %q was admitted %d times, want %d", args[0], got, want)
		}
		return nil
	})
}
