// Package version is kubectl apitoken version.
package version

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiversion "k8s.io/apimachinery/pkg/util/version"

	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/installation"
	"apitoken.dev/operator/internal/cli/output"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/cli/terminal"
)

// versionView is the output of version with -o json and -o yaml.
type versionView struct {
	Plugin string `json:"plugin"`
	// Operators are the versions that run. It is empty when no operator runs, and when they could not be
	// read: OperatorUnread says why.
	Operators      []operatorVersion `json:"operators"`
	OperatorUnread string            `json:"operatorUnread,omitempty"`
	// Do says what to do; empty: the versions fit.
	Do string `json:"whatToDo,omitempty"`
	// Skew: the minor versions differ.
	Skew bool `json:"skew"`
}

type operatorVersion struct {
	Deployment string `json:"deployment"`
	Version    string `json:"version"`
}

// NewCommand returns kubectl apitoken version.
func NewCommand(a *session.App) *cobra.Command {
	var operator string
	var out *output.Printer
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the version of this plugin and of the operator, and whether they match",
		Long: "Shows the version of this plugin, and that of the operator from the image of its Deployment. It warns when the minor\n" +
			"versions differ: plan and handover decide with the rules of the plugin's version. The exit code is 0 all the same.",
		Args:              session.ExactArgs(0, "version takes flags only"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.Check(); err != nil {
				return err
			}
			return version(cmd.Context(), a, operator, out)
		},
	}
	cmd.Flags().StringVar(&operator, "operator-namespace", installation.DefaultNamespace, "The namespace that the operator runs in.")
	out = output.NewPrinter(cmd, session.Scheme(), output.FormatTable)
	return cmd
}

func version(ctx context.Context, a *session.App, namespace string, out *output.Printer) error {
	v := versionView{Plugin: a.Version, Operators: []operatorVersion{}}
	if s, err := a.Open(); err != nil {
		v.OperatorUnread, v.Do = err.Error(), "Name a cluster with --kubeconfig, --context or --server."
	} else {
		operatorVersions(ctx, s, namespace, &v)
	}
	for _, o := range v.Operators {
		if apart(v.Plugin, o.Version) {
			v.Skew = true
			v.Do = fmt.Sprintf("Use the plugin of version %s: this one decides with the rules of %s.", o.Version, v.Plugin)
		}
	}
	if _, human := out.ForPeople(); !human {
		return out.View(a.Out, "Versions", v)
	}
	fmt.Fprintln(a.Out, "plugin    "+v.Plugin)
	for _, o := range v.Operators {
		fmt.Fprintf(a.Out, "operator  %s  (Deployment %s)\n", terminal.OneLine(o.Version), o.Deployment)
	}
	switch {
	case v.OperatorUnread != "":
		fmt.Fprintln(a.Out, "operator  could not read: "+terminal.OneLine(v.OperatorUnread))
	case len(v.Operators) == 0:
		fmt.Fprintln(a.Out, "operator  not found in namespace "+namespace)
	}
	if v.Skew {
		a.Say("warning: the minor versions of the plugin and the operator differ.")
	}
	if v.Do != "" {
		a.Say("What to do: %s", terminal.OneLine(v.Do))
	}
	return nil
}

// operatorVersions reads which versions of the operator run in a namespace.
func operatorVersions(ctx context.Context, s *session.Session, namespace string, v *versionView) {
	installation.Deployments(ctx, s, namespace).Switch(func(found []appsv1.Deployment) {
		for i := range found {
			v.Operators = append(v.Operators, operatorVersion{Deployment: found[i].Namespace + "/" + found[i].Name, Version: versionOf(&found[i])})
		}
	}, func() {
		v.Do = "Name the operator's namespace with --operator-namespace. To find it: " +
			s.KubectlCommand("", "get", "deployments", "-A", "-l", "app.kubernetes.io/name="+installation.Name)
	}, func(err error) {
		v.OperatorUnread, v.Do = hint.Unreadable(installation.DeploymentAccess(namespace), err), s.ToRead(installation.DeploymentAccess(namespace), err)
	})
}

// versionOf is the tag of the operator's image; the label of the version where the image
// is named by its digest.
func versionOf(d *appsv1.Deployment) string {
	containers := d.Spec.Template.Spec.Containers
	at := max(0, slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == "manager" }))
	if len(containers) > 0 {
		image := containers[at].Image
		if name, tag, ok := cutLast(image, ":"); ok && !strings.Contains(image, "@") && !strings.Contains(tag, "/") && name != "" {
			return tag
		}
	}
	return cmp.Or(d.Labels["app.kubernetes.io/version"], "unknown")
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// apart reports whether two versions differ in more than the patch. Builds without a
// version, such as dev, are not compared.
func apart(a, b string) bool {
	x, err := apiversion.ParseSemantic(a)
	if err != nil {
		return false
	}
	y, err := apiversion.ParseSemantic(b)
	return err == nil && (x.Major() != y.Major() || x.Minor() != y.Minor())
}
