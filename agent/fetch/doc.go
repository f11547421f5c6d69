// Package fetch turns an announcement into verified content. It is steps 9 and 10
// of one git push: the signature, the cluster and the order of an announcement are
// checked, and everything that it names is read by digest, before anything is
// touched.
package fetch
