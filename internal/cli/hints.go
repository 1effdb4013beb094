package cli

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"apitoken.dev/operator/internal/cli/reading"
)

// providerViewer is the ClusterRole that reads ClusterTokenProviders.
const providerViewer = "apitoken-operator-clustertokenprovider-viewer"

// hints makes the command lines that commands print. They repeat the flags of the command
// line that chose the cluster and the user.
type hints struct {
	config *genericclioptions.ConfigFlags
}

// pluginCommand is a command line of this plugin that can be pasted into a shell. It
// names the namespace (none when empty) and the cluster that this command was called
// for. Commands in the output are made by this function and by kubectlCommand only, and
// stand at the end of a line.
func (h hints) pluginCommand(namespace string, words ...string) string {
	return h.commandLine("kubectl apitoken", namespace, words)
}

// kubectlCommand is a kubectl command line that can be pasted into a shell.
func (h hints) kubectlCommand(namespace string, words ...string) string {
	return h.commandLine("kubectl", namespace, words)
}

func (h hints) commandLine(program, namespace string, words []string) string {
	parts := []string{program}
	for _, w := range words {
		parts = append(parts, word(w))
	}
	if namespace != "" {
		parts = append(parts, "-n", word(namespace))
	}
	return strings.Join(append(parts, h.sameCluster()...), " ")
}

// givenNamespace is the namespace of the command line; empty: it names none.
func (h hints) givenNamespace() string {
	if h.config == nil || h.config.Namespace == nil {
		return ""
	}
	return *h.config.Namespace
}

// sameCluster are the flags that chose the cluster and the user. A bearer token is not
// repeated.
func (h hints) sameCluster() []string {
	if h.config == nil {
		return nil
	}
	var out []string
	add := func(flag string, value *string) {
		if value != nil && *value != "" {
			out = append(out, flag, word(*value))
		}
	}
	add("--kubeconfig", h.config.KubeConfig)
	add("--context", h.config.Context)
	add("--cluster", h.config.ClusterName)
	add("--user", h.config.AuthInfoName)
	add("--server", h.config.APIServer)
	add("--as", h.config.Impersonate)
	if h.config.ImpersonateGroup != nil {
		for _, group := range *h.config.ImpersonateGroup {
			add("--as-group", &group)
		}
	}
	return out
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// word is one argument, as a shell reads it back.
func word(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return quoted(s)
}

// access is a right that a read needs.
type access struct {
	verb, group, resource string
	// namespace is empty for all of them, and for what has none.
	namespace string
}

func (r access) String() string {
	out := r.verb + " " + strings.TrimSuffix(r.resource+"."+r.group, ".")
	if r.namespace != "" {
		out += " in namespace " + r.namespace
	}
	return out
}

// unreadable says why something could not be read.
func unreadable(r access, err error) string {
	if reading.Forbidden(err) {
		return "you may not " + r.String()
	}
	return fmt.Sprintf("cannot %s: %v", r, err)
}

// toRead says what to do about something that could not be read.
func (h hints) toRead(r access, err error) string {
	switch {
	case !reading.Forbidden(err):
		return "Check the API server, then run this command again: " + h.kubectlCommand("", "cluster-info")
	case r.resource == "clustertokenproviders":
		return toReadClusterProviders()
	default:
		return fmt.Sprintf("Ask an administrator for the right to %s.", r)
	}
}

// toReadClusterProviders names the optional ClusterRole. A RoleBinding grants nothing
// about an object without a namespace, also when it binds view or edit. The command is
// for somebody else, so it does not choose the cluster or the user.
func toReadClusterProviders() string {
	return "Ask an administrator to let everybody read ClusterTokenProviders (docs/install.md, \"Readers of ClusterTokenProviders\"): " +
		"kubectl create clusterrolebinding read-clustertokenproviders --clusterrole=" + providerViewer + " --group=system:authenticated"
}
