// Package hint says what the user can do next: commands that can be pasted into a shell, the
// right that a failed read needs, and an action for each reason.
package hint

import (
	"strings"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"apitoken.dev/operator/internal/cli/terminal"
)

// Hints makes the command lines that commands print. They repeat the flags of the command
// line that chose the cluster and the user.
type Hints struct {
	Config *genericclioptions.ConfigFlags
}

// PluginCommand is a command line of this plugin that can be pasted into a shell. It
// names the namespace (none when empty) and the cluster that this command was called
// for. Commands in the output are made by this function and by kubectlCommand only, and
// stand at the end of a line.
func (h Hints) PluginCommand(namespace string, words ...string) string {
	return h.commandLine("kubectl apitoken", namespace, words)
}

// KubectlCommand is a kubectl command line that can be pasted into a shell.
func (h Hints) KubectlCommand(namespace string, words ...string) string {
	return h.commandLine("kubectl", namespace, words)
}

func (h Hints) commandLine(program, namespace string, words []string) string {
	parts := []string{program}
	for _, w := range words {
		parts = append(parts, terminal.Word(w))
	}
	if namespace != "" {
		parts = append(parts, "-n", terminal.Word(namespace))
	}
	return strings.Join(append(parts, h.sameCluster()...), " ")
}

// GivenNamespace is the namespace of the command line; empty: it names none.
func (h Hints) GivenNamespace() string {
	if h.Config == nil || h.Config.Namespace == nil {
		return ""
	}
	return *h.Config.Namespace
}

// sameCluster are the flags that chose the cluster and the user. A bearer token is not
// repeated.
func (h Hints) sameCluster() []string {
	if h.Config == nil {
		return nil
	}
	var out []string
	add := func(flag string, value *string) {
		if value != nil && *value != "" {
			out = append(out, flag, terminal.Word(*value))
		}
	}
	add("--kubeconfig", h.Config.KubeConfig)
	add("--context", h.Config.Context)
	add("--cluster", h.Config.ClusterName)
	add("--user", h.Config.AuthInfoName)
	add("--server", h.Config.APIServer)
	add("--as", h.Config.Impersonate)
	if h.Config.ImpersonateGroup != nil {
		for _, group := range *h.Config.ImpersonateGroup {
			add("--as-group", &group)
		}
	}
	return out
}
