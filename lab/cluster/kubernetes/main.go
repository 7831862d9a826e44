// A cluster in one program: it is what the name it is called by says. One link instead of seven
// saves minutes and a gigabyte.
//
// Without a tag this is the control plane and its clients; the tag "node" adds the rest.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/component-base/version"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// servers are what cli.Run runs, by name.
var servers = map[string]func() *cobra.Command{
	"kube-apiserver": apiserver.NewAPIServerCommand,
}

// programs run by themselves, by name, and return their exit status.
var programs = map[string]func() int{
	"etcd":    etcd,
	"kubectl": kubectl,
}

func main() {
	name := filepath.Base(os.Args[0])
	if server, ok := servers[name]; ok {
		os.Exit(cli.Run(server()))
	}
	if program, ok := programs[name]; ok {
		os.Exit(program())
	}
	fmt.Fprintf(os.Stderr, "call it by one of its names, not %s (%s)\n", name, version.Get())
	os.Exit(2)
}

func etcd() int {
	etcdmain.Main(os.Args)
	return 0
}

func kubectl() int {
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
	return 0
}
