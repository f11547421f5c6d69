// Localcluster runs real Kubernetes clusters as ordinary processes of this
// machine: no container runtime, no root, nothing that listens beyond loopback.
// The tests, the demo and the benchmarks use them as member clusters, the places
// where the agent does steps 9 to 13 of a git push and where a person looks
// whether it worked.
//
// One binary holds etcd, kube-apiserver, kube-controller-manager and
// kube-scheduler; `localcluster part kube-apiserver ...` is the stock
// kube-apiserver. KWOK, a binary of its own beside this one, plays nodes and
// kubelets: pods are scheduled and become Ready, and nothing runs in them. Where a
// cluster is to measure what its nodes use, KWOK says what pods use by their
// annotations, and a stock metrics-server serves it as metrics.k8s.io.
//
// All that a cluster is lies in one folder: keys, etcd's data, a log per part. A
// part is alive exactly as long as the lock on its file in run/ is held, because
// the part itself holds it; so no command ever takes a stranger for a part, or
// signals a number that the system has given to somebody else. etcd listens on a
// socket in the folder, the API server on the cluster's port, the others nowhere but
// for KWOK and metrics-server of a cluster that measures.
package main
