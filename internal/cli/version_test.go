package cli_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/operator"
)

// version warns if the minor versions differ.
func TestVersionWarnsAboutSkew(t *testing.T) {
	w := newWorld(t, "")
	w.expect(w.run("version", "--operator-namespace", w.Ns), exit.OK, "plugin    test\n", "operator  not found in namespace "+w.Ns, "--operator-namespace")
	w.installOperator(1, time.Second)
	d := &appsv1.Deployment{}
	w.OK(w.Get(t.Context(), client.ObjectKey{Namespace: w.Ns, Name: operator.Name}, d))
	for _, c := range []struct {
		plugin, image, label, shown string
		skew                        bool
	}{
		{"v1.2.3", "registry.example.com:5000/apitoken-operator:v1.2.9", "", "v1.2.9", false},
		{"v1.2.3", "registry.example.com:5000/apitoken-operator:v1.4.0", "", "v1.4.0", true},
		{"v2.2.3", "apitoken-operator:v1.2.3", "", "v1.2.3", true},
		{"dev", "apitoken-operator:v1.2.3", "", "v1.2.3", false},
		{"v1.2.3", "registry.example.com:5000/apitoken-operator", "", "unknown", false},
		{"v1.2.3", "a/apitoken-operator@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "v1.3.0", "v1.3.0", true},
	} {
		d.Labels["app.kubernetes.io/version"] = c.label
		d.Spec.Template.Spec.Containers[0].Image = c.image
		w.OK(w.Update(context.WithoutCancel(t.Context()), d))
		w.Env.Version = c.plugin
		w.expect(w.run("version", "--operator-namespace", w.Ns), exit.OK, "plugin    "+c.plugin+"\n", "operator  "+c.shown+"  (Deployment "+w.Ns+"/apitoken-operator)")
		view := w.decode(w.run("version", "--operator-namespace", w.Ns, "-o", "json").out)
		if do, _ := view["whatToDo"].(string); view["skew"] != c.skew || c.skew != (do != "") {
			t.Errorf("%s with %s: %v", c.plugin, c.image, view)
		}
	}
}

// A version that could not be read is not shown as missing or as matching.
func TestVersionSaysThatItCouldNotLook(t *testing.T) {
	w := newWorld(t, "")
	w.expect(w.run("version", "--as", "stranger"), exit.OK, "plugin    test\n", "operator  could not read: you may not list deployments.apps in namespace apitoken-system",
		"What to do: Ask an administrator")
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	r := w.runWithKubeconfig("", "", "version")
	w.expect(r, exit.OK, "plugin    test\n", "operator  could not read: there is no kubeconfig", "What to do: Name a cluster")
}
