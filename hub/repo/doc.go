// Package repo watches one branch of one Git repository: step 1 of one git push.
// It turns a commit into a revision and a read-only [Tree] of files.
//
// A bare store on disk is kept between commits and between runs of the hub, so
// that a push costs the objects that it changed. There is no work tree: files are
// read from the object store, and folders that a commit did not change are the
// same values in memory as before. The store is a copy of what the server has. It
// is made anew when it is damaged, or when it has gathered many packs.
//
// A repository is looked at regularly, and at once after [Repo.Nudge], which a
// [Webhook] calls.
package repo
