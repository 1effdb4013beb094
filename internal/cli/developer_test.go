package cli_test

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/repofile"
)

// providerViewerRole is the ClusterRole that reads ClusterTokenProviders.
const providerViewerRole = "apitoken-operator-clustertokenprovider-viewer"

// developer is the user of developerWorld.
const developer = "developer"

// installRoles installs the ClusterRoles for users, and aggregates them into the role edit, as the
// aggregation controller does in a cluster.
func (w *world) installRoles() {
	w.Helper()
	for _, file := range repofile.Glob(w, "config/rbac/*[eo]r_role.yaml") {
		role := &rbacv1.ClusterRole{}
		w.OK(yaml.Unmarshal([]byte(repofile.Read(w, file)), role))
		if err := w.Create(w.Context(), role); !apierrors.IsAlreadyExists(err) {
			w.OK(err)
		}
	}
	var all rbacv1.ClusterRoleList
	w.OK(w.List(w.Context(), &all))
	edit := &rbacv1.ClusterRole{}
	w.OK(w.Get(w.Context(), client.ObjectKey{Name: "edit"}, edit))
	edit.Rules = nil
	for i := range all.Items {
		l := all.Items[i].Labels
		if l["rbac.authorization.k8s.io/aggregate-to-edit"] == "true" || l["rbac.authorization.k8s.io/aggregate-to-view"] == "true" {
			edit.Rules = append(edit.Rules, all.Items[i].Rules...)
		}
	}
	w.OK(w.Update(w.Context(), edit))
}

// developerWorld is a namespace in which a user has the ClusterRole edit. Its ApiToken refers to a
// ClusterTokenProvider that the user cannot read.
func developerWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, "")
	w.installRoles()
	w.OK(w.Create(t.Context(), &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, Name: "developers"},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: developer}}}))
	w.clusterProvider("shared-" + w.Ns)
	w.makeReady(w.createToken("one", w.useShared))
	return w
}

// clusterProvider creates a ClusterTokenProvider that is Ready and admits all namespaces.
func (w *world) clusterProvider(name string) {
	w.Helper()
	p := &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: []string{v1alpha1.Finalizer}}}
	p.Spec.CredentialsSecretRef.Name = "minter"
	p.Spec.AWS = &v1alpha1.AWSProvider{IAMEndpoint: "https://iam.example.com", S3Endpoint: "https://s3.example.com", Region: "eu-1"}
	p.Spec.AllowedNamespaces = &metav1.LabelSelector{}
	w.ExpectApplied(p)
	w.Cleanup(func() {
		p.Finalizers = nil
		_ = w.Update(context.WithoutCancel(w.Context()), p)
		_ = w.Delete(context.WithoutCancel(w.Context()), p)
	})
	p.Status.Account = "123456789012"
	p.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonReady, "the credentials work", p.Generation)}
	driver, settings, err := w.Env.Registry.Resolve(registry.Spec{ProviderSpec: &p.Spec.ProviderSpec})
	w.OK(err)
	e := account.EndpointOf(w.Context(), driver, provider.Config{Settings: settings})
	p.Status.Driver, p.Status.Endpoint = e.Driver, e.URL
	w.OK(w.Status().Update(w.Context(), p))
}

func (w *world) useShared(t *v1alpha1.ApiToken) {
	t.Spec.ProviderRef = v1alpha1.ProviderReference{Kind: v1alpha1.KindClusterTokenProvider, Name: "shared-" + w.Ns}
}

func (w *world) asDeveloper(args ...string) result {
	w.Helper()
	return w.run(append([]string{"--as", developer}, args...)...)
}

// The user has the role edit in one namespace. Each command does what these rights allow, and reports
// what it could not read.
func TestEveryCommandRunsWithTheRightsOfADeveloper(t *testing.T) {
	w := developerWorld(t)
	w.withRealClock()
	old := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, Name: "old-keys"}, Data: map[string][]byte{
		"AWS_ACCESS_KEY_ID": []byte("AKIAOLD"), "AWS_SECRET_ACCESS_KEY": []byte(canary), "BUCKET_NAME": []byte("datasets"), "S3_ENDPOINT": []byte("https://s3.example.com")}}
	w.OK(w.Create(t.Context(), old))
	same := w.writeFile("one.yaml", strings.Replace(declared, "{name: object-store}", "{kind: ClusterTokenProvider, name: shared-"+w.Ns+"}", 1))
	w.Env.Exec = func(string, []string, []string) error { return nil }
	const unread = "you may not get clustertokenproviders.apitoken.dev"
	tested := map[string]bool{}
	for _, c := range []struct {
		args []string
		code exit.Code
		says []string
	}{
		{[]string{"list"}, exit.OK, []string{"one", "Ready"}},
		{[]string{"status", "one"}, exit.OK, []string{"ApiToken " + w.Ns + "/one: Ready", "could not be read: " + unread}},
		{[]string{"tree", "one"}, exit.OK, []string{"ClusterTokenProvider/shared-" + w.Ns + "  could not be read: " + unread, "AKIAEXAMPLE2"}},
		{[]string{"plan", "-f", same}, exit.OK, []string{"nothing happens at the provider", "was not read, because " + unread}},
		{[]string{"env", "one", "--", "sh"}, exit.Refused, []string{unread, "--clusterrole=" + providerViewerRole}},
		{[]string{"env", "one", "--all", "--", "sh"}, exit.OK, nil},
		{[]string{"import", "old-keys"}, exit.OK, []string{"you may not list clustertokenproviders.apitoken.dev): one of them may have this endpoint"}},
		{[]string{"doctor", "--operator-namespace", "apitoken-system"}, exit.OK, []string{
			"warn  operator: could not read: you may not list deployments.apps in namespace apitoken-system",
			"warn  leader: could not read: ", "warn  providers: could not read: you may not list clustertokenproviders.apitoken.dev", "warn  orphans: could not read: ",
			"ok    ApiTokens: 1 of 1"}},
		{[]string{"version"}, exit.OK, []string{"operator  could not read: you may not list deployments.apps in namespace apitoken-system"}},
		{[]string{"suspend", "one"}, exit.OK, []string{"one suspended"}},
		{[]string{"resume", "one"}, exit.OK, []string{"one resumed"}},
		{[]string{"handover", "one"}, exit.Refused, []string{"needs no action by a user"}},
		{[]string{"rotate", "one"}, exit.OK, []string{"rotation requested"}},
		{[]string{"end", "one", "AKIAEXAMPLE2", "--yes"}, exit.Refused, []string{"is in use"}},
		{[]string{"revoke", "one", "--yes", "--wait=false"}, exit.OK, []string{"deletion requested"}},
	} {
		tested[c.args[0]] = true
		r := w.expect(w.asDeveloper(c.args...), c.code, c.says...)
		for _, said := range []string{"there is no provider", "not found in", "ok    orphans", "does not exist", "E1"} {
			if strings.Contains(r.out+r.err, said) {
				t.Errorf("%v says %q of what could not be read:\n%s%s", c.args, said, r.out, r.err)
			}
		}
	}
	for _, cmd := range cli.New(session.Env{}).Commands() {
		if name := cmd.Name(); !tested[name] && name != "completion" && name != "help" {
			t.Errorf("no developer runs %s", name)
		}
	}
}

// Without the provider, plan reports what follows from the declaration alone, and what is undecided.
func TestPlanWithoutTheProviderSaysWhatItCouldNotDecide(t *testing.T) {
	w := developerWorld(t)
	mine := strings.Replace(declared, "{name: object-store}", "{kind: ClusterTokenProvider, name: shared-"+w.Ns+"}", 1)
	rest := []string{"could not be read", "not decided: whether ClusterTokenProvider \"shared-" + w.Ns + "\" exists, is ready, admits this namespace",
		"you may not get clustertokenproviders.apitoken.dev", "--clusterrole=" + providerViewerRole}
	for name, c := range map[string]struct {
		file string
		code exit.Code
		says []string
	}{
		"the same":         {mine, exit.OK, []string{"nothing happens at the provider", "the credential in use stays", "was not read"}},
		"a new one":        {strings.Replace(mine, "name: one", "name: fresh", 1), exit.Failed, append([]string{"a credential is needed"}, rest...)},
		"another bucket":   {strings.Replace(mine, "[datasets]", "[datasets, archive]", 1), exit.Failed, append([]string{"the credential in use must be replaced or changed"}, rest...)},
		"a scope":          {strings.Replace(mine, "objectstorage:object-read-only", "kitchen:sink", 1), exit.Failed, rest},
		"only from an IP":  {mine + "  restrictions: {allowedIPs: [203.0.113.0/24]}\n", exit.Failed, rest},
		"suspended":        {mine + "  suspend: true\n  expiresIn: 48h\n", exit.Failed, []string{"nothing can be issued now (Suspended)"}},
		"a hard end":       {mine + "  expiresAt: 2026-11-01T00:00:00Z\n", exit.OK, []string{"access ends (Expired)"}},
		"not valid at all": {strings.Replace(mine, "  buckets: [datasets]\n", "  buckets: []\n", 1), exit.Refused, []string{"refused (Invalid)"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			w.expect(w.asDeveloper("plan", "-f", w.writeFile("token.yaml", c.file)), c.code, c.says...)
		})
	}
	view := w.decode(w.asDeveloper("plan", "-f", w.writeFile("token.yaml", strings.Replace(mine, "name: one", "name: fresh", 1)), "-o", "json").out)
	if got := view["plans"].([]any)[0].(map[string]any); got["outcome"] != "Unknown" || got["whatToDo"] == nil {
		t.Errorf("the plan is %v", got)
	}
}

// With the optional component, every user can read ClusterTokenProviders.
func TestTheOptionalRightLetsADeveloperPlan(t *testing.T) {
	w := developerWorld(t)
	binding := &rbacv1.ClusterRoleBinding{}
	w.OK(yaml.Unmarshal([]byte(repofile.Read(t, "config/components/provider-readers/binding.yaml")), binding))
	w.OK(w.Create(t.Context(), binding))
	w.Cleanup(func() { _ = w.Delete(context.WithoutCancel(w.Context()), binding) })
	file := w.writeFile("token.yaml", strings.NewReplacer("{name: object-store}", "{kind: ClusterTokenProvider, name: shared-"+w.Ns+"}", "name: one", "name: fresh").Replace(declared))
	// The API server applies a new binding with a delay.
	var r result
	for range 200 {
		if r = w.asDeveloper("plan", "-f", file); r.code == exit.OK {
			break
		}
		w.OK(clock.NewReal().Sleep(t.Context(), 50*time.Millisecond))
	}
	w.expect(r, exit.OK, "a credential is issued", "Request to ClusterTokenProvider shared-"+w.Ns+" (aws): mint")
	w.expect(w.asDeveloper("status", "one"), exit.OK, "ClusterTokenProvider shared-"+w.Ns+", aws, account 123456789012, ready")
}
