// Package overlays turns a decision into a kustomize overlay and an overlay into
// objects. Nothing else imports kustomize.
//
// It covers steps 4, 5 and 11 of one git push. [Gather] collects the files that an
// app is made of, its base, and [Workloads] says what in it has replicas to decide
// about; [Render] writes what differs in the clusters with the same rules and
// replicas, the overlay; [Build] makes the objects of both. The hub builds once per
// distinct overlay, so that what does not build is never announced; the agent builds
// the same bytes and gets the same objects. [Compare] tells what becomes of objects
// before it happens.
//
// Everything that a kustomization could reach outside its files is refused:
// remote bases, plugins, functions, charts, symlinks, paths out of the repository.
// The stock kustomize builds what [Tree] lays out, with equal results. Objects that
// do not concern each other are built one by one, since kustomize needs a time that
// grows with the square of their number; it builds all else, up to [MaxTogether].
//
// The package is pure but for what builds, which is guarded by a mutex: kustomize
// keeps its schema in a package variable.
package overlays
