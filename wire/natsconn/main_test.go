package natsconn_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/navarch/navarch/e2e/env/natsserver"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/hub/natsconf"
)

// folder is of what all tests of this package share.
var folder string

func TestMain(m *testing.M) {
	code, err := main(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func main(m *testing.M) (code int, err error) {
	if folder, err = os.MkdirTemp("", "natsconn-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(folder)
	defer func() {
		for _, e := range started {
			e.cluster.Kill()
		}
	}()
	if err := trustProxies(); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// external is stock servers with the identity that they trust. Tests share them, because
// they take a while to start.
type external struct {
	identity *enrol.Identity
	trust    natsconf.Trust
	cluster  *natsserver.Cluster
}

var (
	buildServer = sync.OnceValues(func() (string, error) { return natsserver.Build(context.Background(), folder) })
	started     = map[int]*external{} // by the number of servers; tests run one after the other
)

func externals(t testing.TB, nodes int) *external {
	t.Helper()
	path, err := buildServer()
	check(t, err)
	if e := started[nodes]; e != nil {
		check(t, e.cluster.Trust(within(t, 30*time.Second), e.trust))
		return e
	}
	dir := filepath.Join(folder, strconv.Itoa(nodes))
	e := &external{}
	e.identity, err = enrol.Open(filepath.Join(dir, "identity"))
	check(t, err)
	e.trust.System = e.identity.SystemAccount()
	e.trust.Operator, err = e.identity.OperatorJWT()
	check(t, err)
	e.trust.Accounts, err = e.identity.AccountJWTs()
	check(t, err)
	e.cluster, err = natsserver.New(path, filepath.Join(dir, "servers"), nodes, e.trust)
	check(t, err)
	started[nodes] = e
	return e
}
