package hub

import (
	"path/filepath"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/repo"
	"github.com/navarch/navarch/hub/view"
)

// openRepository prepares the watch of the fleet repository.
func openRepository(c Config) (*repo.Repo, error) {
	return repo.Open(repo.Config{
		URL:      c.Repository.URL,
		Branch:   c.Repository.Branch,
		Username: c.Repository.Username,
		Password: c.Repository.Password,
		App:      c.Repository.App,
		CAFile:   c.Repository.CAFile,
		SSH:      c.Repository.SSH,
		Verify:   c.Repository.Verify,
		Poll:     c.Repository.Poll,
		Dir:      filepath.Join(c.Data, "repository"),
		Log:      c.Log,
	})
}

// hold shows a commit that is not signed as it should be. Nothing of it is read, and
// what was deployed before stays.
func (d *deployer) hold(commit repo.Commit, start time.Time) {
	defer func() { d.metrics.commit(false, time.Since(start)) }()
	d.board.Commit(view.Commit{
		Revision: commit.Revision, Message: commit.Message, Author: commit.Author, Time: commit.Time, Rewound: commit.Rewound,
		Problems: fleet.Problems{{Message: commit.Held.Why, Hint: commit.Held.Hint}},
	})
	d.log.Warn("commit held by its signature: the last good revision stays", "revision", commit.Revision, "author", commit.Author, "why", commit.Held.Why)
}
