package cli_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/installation"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/testutil"
)

// installOperator creates the Deployment and the Lease of an operator.
func (w *world) installOperator(available int32, renewed time.Duration) {
	w.Helper()
	labels := map[string]string{"app.kubernetes.io/name": operator.Name}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, Name: operator.Name, Labels: labels}}
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	d.Spec.Template.Labels = labels
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "manager", Image: "example.com/manager"}}
	w.ExpectApplied(d)
	d.Status.Replicas, d.Status.ReadyReplicas, d.Status.AvailableReplicas = 1, available, available
	w.OK(w.Status().Update(w.Context(), d))
	holder, seconds := "apitoken-operator-1", int32(15)
	w.OK(w.Create(w.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, Name: operator.Name},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &metav1.MicroTime{Time: w.Env.Clock.Now().Add(-renewed)}}}))
}

func TestDoctorLooksForTheNamesOfTheOperator(t *testing.T) {
	if installation.Name != operator.Name || installation.DefaultNamespace != operator.DefaultNamespace {
		t.Errorf("doctor looks for %s in %s; the operator is %s in %s", installation.Name, installation.DefaultNamespace, operator.Name, operator.DefaultNamespace)
	}
}

func TestDoctorReportsOkWhenNothingIsWrong(t *testing.T) {
	w := newWorld(t, "").withRealClock()
	w.createProvider("object-store")
	w.makeReady(w.createToken("one"), func(t *v1alpha1.ApiToken) { // the times follow the real clock
		t.Status.ExpiresAt, t.Status.RotatesAt = w.fromNow(80*day), w.fromNow(40*day)
	})
	w.installOperator(1, time.Second)
	r := w.expect(w.run("doctor", "--operator-namespace", w.Ns), exit.OK)
	var lines []string
	for line := range strings.Lines(r.out) {
		if strings.HasPrefix(line, "ok    API server: ") {
			line = "ok    API server: https://127.0.0.1:6443 answers, version v1.37.1\n"
		}
		lines = append(lines, strings.ReplaceAll(line, w.Ns, "ml"))
	}
	w.golden("doctor.txt", strings.Join(lines, ""))
	view := w.decode(w.expect(w.run("doctor", "--operator-namespace", w.Ns, "-o", "yaml"), exit.OK).out)
	if view["kind"] != "Examination" || view["result"] != "ok" || len(view["findings"].([]any)) != len(lines) {
		t.Errorf("doctor prints %v", view)
	}
}

func TestDoctorReportsEveryProblem(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store", func(p *v1alpha1.TokenProvider) {
		p.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, false, v1alpha1.ReasonCredentialsRejected, "AWS said no", 1)}
	})
	w.installOperator(0, time.Hour)
	w.makeReady(w.createToken("late"), func(t *v1alpha1.ApiToken) {
		t.Status.RotatesAt = ago(2 * time.Hour)
		t.Status.Credentials = append(t.Status.Credentials, v1alpha1.LedgerEntry{Name: w.credential("late", 1), State: v1alpha1.StateRetiring, ID: "AKIAOLD", RetireAt: ago(3 * time.Hour)},
			v1alpha1.LedgerEntry{Name: w.credential("late", 9), State: v1alpha1.StateRetiring, ID: "AKIAHAND", ByHand: true, RetireAt: ago(3 * time.Hour)})
	})
	w.makeReady(w.createToken("dead"), func(t *v1alpha1.ApiToken) { t.Status.ExpiresAt = ago(time.Minute) })
	w.makeReady(w.createToken("asleep", func(t *v1alpha1.ApiToken) { t.Spec.Suspend = true }), func(t *v1alpha1.ApiToken) { t.Status.ExpiresAt = after(time.Hour) })
	w.makeStalled(w.createToken("wrong"), v1alpha1.ReasonSecretNotOwned, "it belongs to Helm")
	w.createToken("unseen")
	w.OK(w.Create(t.Context(), &eventsv1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, Name: "orphans"}, EventTime: metav1.NewMicroTime(now),
		Reason: "OrphanedCredentials", Type: corev1.EventTypeWarning, Action: "Sweep", Note: "3 credentials of this cluster are in no ledger",
		ReportingController: "apitoken.dev/operator", ReportingInstance: "a",
		Regarding: corev1.ObjectReference{Kind: "TokenProvider", Namespace: w.Ns, Name: "object-store", APIVersion: v1alpha1.GroupVersion.String()}}))
	r := w.expect(w.run("doctor", "--operator-namespace", w.Ns), exit.Failed,
		"has no available replica", "holds the lease and has not renewed it for 1h: no operator works",
		"fail  provider: TokenProvider "+w.Ns+"/object-store is not ready (CredentialsRejected): AWS said no",
		hint.ActionFor(v1alpha1.ReasonCredentialsRejected),
		"warn  orphans: TokenProvider "+w.Ns+"/object-store: 3 credentials",
		"warn  rotation: "+w.Ns+"/late should have been rotated 120m ago",
		"warn  ledger: "+w.Ns+"/late: AKIAOLD is Retiring since 2026-12-01T05:00:00Z", "Delete credential AKIAHAND at the provider",
		"fail  expired: "+w.Ns+"/dead", "warn  expiring: "+w.Ns+"/asleep is suspended",
		"fail  not ready: "+w.Ns+"/wrong (SecretNotOwned): it belongs to Helm", "warn  not ready: "+w.Ns+"/unseen: the operator has not observed it",
		"it may be queued behind other ApiTokens of its provider",
		"the API server\n") // the fake clock differs from the server's
	for line := range strings.Lines(r.out) {
		if result, _, _ := strings.Cut(line, " "); result != "ok" && result != "warn" && result != "fail" && !strings.HasPrefix(line, "      → ") {
			t.Errorf("a line of no result: %q", line)
		}
	}
}

func TestDoctorNamesMissingRights(t *testing.T) {
	w := newWorld(t, "")
	w.allow("viewer", "apitoken.dev", []string{"apitokens"}, "get", "list")
	r := w.expect(w.run("doctor", "--as", "viewer", "--operator-namespace", w.Ns), exit.OK,
		"you may not patch apitokens.apitoken.dev", "which rotate, suspend, resume or plan needs", "you may not get secrets",
		"operator: could not read: you may not list deployments.apps in namespace "+w.Ns, "leader: could not read: you may not get leases",
		"providers: could not read: you may not list clustertokenproviders.apitoken.dev\n", "--clusterrole=apitoken-operator-clustertokenprovider-viewer",
		"providers: could not read: you may not list tokenproviders.apitoken.dev in namespace "+w.Ns,
		"orphans: could not read: you may not list events.events.k8s.io in namespace "+w.Ns, "orphans: could not read: you may not list events.events.k8s.io in namespace default")
	for _, said := range []string{"there is no provider", "ok    orphans", "there is no Deployment", "no process holds"} {
		if strings.Contains(r.out, said) {
			t.Errorf("it says %q of what it could not read", said)
		}
	}
	if strings.Contains(r.out, "you may not list apitokens") {
		t.Error("a right that is there is missed")
	}
	w.expect(w.run("doctor", "--as", "stranger", "--operator-namespace", w.Ns), exit.Failed, "fail  rights: you may not get apitokens.apitoken.dev in namespace "+w.Ns)
}

func TestDoctorReportsAMissingOperator(t *testing.T) {
	w := newWorld(t, "")
	w.expect(w.run("doctor", "--operator-namespace", w.Ns), exit.Failed, "there is no Deployment with app.kubernetes.io/name=apitoken-operator")
}

// The cases: no CRDs, a newer version of the CRDs, another clock, and no API server.
func TestDoctorReportsUnusableServers(t *testing.T) {
	date, groups := now, `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		out.Header().Set("Date", date.Format(http.TimeFormat))
		out.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/version":
			_ = json.NewEncoder(out).Encode(version.Info{GitVersion: "v1.30.0"})
		case "/apis":
			_, _ = out.Write([]byte(groups))
		default:
			out.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(out).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonNotFound, Code: 404})
		}
	}))
	w := &world{Kit: &kit.Kit{T: t}, Ns: "ml", said: &kit.Output{}, Env: session.Env{Clock: testutil.NewClock(now), Version: "test"}}
	w.kubeconfig = w.writeFile("kubeconfig", `{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: a, user: a}}],
		users: [{name: a, user: {}}], clusters: [{name: a, cluster: {server: "`+server.URL+`"}}]}`)
	w.expect(w.run("doctor"), exit.Failed, "version v1.30.0", "agree to within 10s", "apitoken.dev/v1alpha1 is not served\n", "make install")

	groups = `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"apitoken.dev","versions":[{"groupVersion":"apitoken.dev/v1","version":"v1"}],"preferredVersion":{"groupVersion":"apitoken.dev/v1","version":"v1"}}]}`
	w.expect(w.run("doctor"), exit.Failed, "is not served, but v1 is: use the plugin of that version")

	date = now.Add(-time.Minute)
	w.expect(w.run("doctor"), exit.Failed, "this machine is 1m0s ahead of the API server")
	date = now.Add(time.Hour)
	w.expect(w.run("doctor"), exit.Failed, "this machine is 1h0m0s behind the API server")

	server.Close()
	w.expect(w.run("doctor"), exit.Failed, "fail  API server: does not answer")
}
