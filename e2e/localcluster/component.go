package main

import (
	"fmt"
	"os"
	"strings"
	_ "time/tzdata" // the time zones of CronJobs, as in the stock binaries

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register" // --logging-format=json, as in the stock binaries
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

// runComponent runs one component of Kubernetes in this process, as its stock
// binary would run with these arguments, and returns its exit code.
func runComponent(name string, args []string) int {
	os.Args = append([]string{name}, args...)
	switch name {
	case etcd:
		etcdmain.Main(os.Args)
		return 0
	case apiServer:
		return cli.Run(apiserver.NewAPIServerCommand())
	case controllerManager:
		return cli.Run(controllermanager.NewControllerManagerCommand())
	case schedulerPart:
		return cli.Run(scheduler.NewSchedulerCommand())
	}
	fmt.Fprintf(os.Stderr, "localcluster: no component %q in this binary: it has %s\n",
		name, strings.Join([]string{etcd, apiServer, controllerManager, schedulerPart}, ", "))
	return 2
}
