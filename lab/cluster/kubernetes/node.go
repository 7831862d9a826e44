//go:build node

package main

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	helm "helm.sh/helm/v4/pkg/cmd"
	"helm.sh/helm/v4/pkg/kube"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func init() {
	servers["kube-controller-manager"] = manager.NewControllerManagerCommand
	servers["kube-scheduler"] = func() *cobra.Command { return scheduler.NewSchedulerCommand() }
	servers["kubelet"] = func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }
	programs["helm"] = runHelm
}

func runHelm() int {
	// The owner of the fields it applies; else Helm takes it from argv[0].
	kube.ManagedFieldsManager = "helm"
	command, err := helm.NewRootCmd(os.Stdout, os.Args[1:], helm.SetupLogging)
	if err != nil {
		slog.Error("helm", "error", err)
		return 1
	}
	if err := command.Execute(); err != nil {
		if failure, ok := errors.AsType[helm.CommandError](err); ok {
			return failure.ExitCode
		}
		return 1
	}
	return 0
}
