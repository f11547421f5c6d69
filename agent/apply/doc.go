// Package apply brings objects into the cluster and takes them out again. It is
// step 12 of one git push: one server-side apply for every object that changed, in
// stages and side by side within a stage; an inventory that is written before
// anything is applied; and pruning by that inventory only.
package apply
