package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/drain"
	"apitoken.dev/operator/test/support/simulate/proxyscrapesim"
)

func parseDrain(t *testing.T, args ...string) (drain.Options, error) {
	t.Helper()
	return optionsOf(t, newDrainCommand, args)
}

// Without flags a drain deletes no object, and uses the operator's default namespace.
func TestDrainDeletesNothingByDefault(t *testing.T) {
	got, err := parseDrain(t)
	if err != nil {
		t.Fatal(err)
	}
	if got.DeleteAll || got.Patience != 10*time.Minute || got.Operator.Namespace != "apitoken-system" || got.Progress == nil {
		t.Errorf("by default: %+v", got)
	}
}

// A drain has the operator's flags and their environment variables, so that it uses the
// same names, namespaces and endpoints.
func TestDrainTakesTheFlagsOfTheOperator(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "of-the-pod")
	t.Setenv("APITOKEN_CLUSTER_IDENTITY", "blue")
	got, err := parseDrain(t, "--namespaces=a,b", "--tenant-endpoints=public", "--tenant-proxy=http://proxy.example.com:3128", "--delete-all", "--timeout=3m")
	if err != nil {
		t.Fatal(err)
	}
	o := got.Operator
	if !got.DeleteAll || got.Patience != 3*time.Minute || o.Namespace != "of-the-pod" || o.ClusterIdentity != "blue" || len(o.Namespaces) != 2 ||
		o.TenantEndpoints.String() != "public" || o.TenantProxy != "http://proxy.example.com:3128" {
		t.Errorf("the flags gave %+v", got)
	}
	if got, err = parseDrain(t, "--namespace=given"); err != nil || got.Operator.Namespace != "given" {
		t.Errorf("--namespace gave %q: %v", got.Operator.Namespace, err)
	}
}

func TestDrainRefusesInvalidFlags(t *testing.T) {
	for args, want := range map[string]string{
		"--timeout=0s":                "--timeout must be longer than 0",
		"--leader-elect=true":         "unknown flag",
		"--sweep-mode=Revoke":         "unknown flag",
		"--tenant-proxy=not a proxy:": "--tenant-proxy",
		"everything":                  "unknown command",
	} {
		if _, err := parseDrain(t, args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("drain %s: %v, want %q", args, err, want)
		}
	}
}

// Next to the progress lines, only errors are logged.
func TestDrainLogsErrorsOnly(t *testing.T) {
	var logged bytes.Buffer
	cmd := newDrainCommand(func(_ context.Context, d drain.Options) error {
		d.Operator.Logger.Info("said")
		d.Operator.Logger.Error(io.EOF, "failed")
		return nil
	})
	cmd.SetArgs([]string{})
	cmd.SetErr(&logged)
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(logged.String(), "said") || !strings.Contains(logged.String(), "msg=failed") {
		t.Errorf("the log is %q", &logged)
	}
}

// TestDrainRevokesAfterTheOperatorWasKilled runs both as processes, with a simulator of a
// vendor. The killed operator does not release its Lease, so the drain waits for a term in
// which no process renews it. Next to a running operator it refuses to start. It is not
// parallel: a drain reads the Leases of all namespaces, and other tests run operators in
// theirs.
func TestDrainRevokesAfterTheOperatorWasKilled(t *testing.T) {
	b := newBenchWithoutOperator(t)
	sim := proxyscrapesim.New(b.clock.Now, "CANARY-minting-token", "account:apikeys:create", "account:apikeys:read", "account:apikeys:update",
		"account:apikeys:delete", "datacenter_shared:read", "residential:read")
	b.minter("proxyscrape-minter", map[string]string{"token": "CANARY-minting-token"})
	name := b.sample("proxyscrape.yaml", "https://api.proxyscrape.com   # also the default", b.serve(sim))
	api := b.api()
	kubeconfig := b.kubeconfig(api)
	served := []string{"--kubeconfig=" + kubeconfig, "--namespace=" + b.ns, "--namespaces=" + b.ns, "--cluster-identity=" + b.ns, "--tenant-endpoints=" + loopback}
	drains := append([]string{"drain", "--delete-all"}, served...)

	killed := b.process(append([]string{"--metrics-bind-address=0", "--health-probe-bind-address=0"}, served...)...)
	defer func() {
		_ = killed.cmd.Process.Kill()
		<-killed.ends
	}()
	key := b.ready(name, "")
	if len(sim.Named(key.Name)) != 1 {
		t.Fatalf("the vendor has no key %s", key.Name)
	}
	refused := b.process(drains...)
	<-refused.ends
	if code := refused.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(refused.log.String(), "an operator runs: ") {
		t.Fatalf("next to an operator it ends with %d:\n%s", code, refused.log.String())
	}
	if b.get(name).DeletionTimestamp != nil {
		t.Fatal("a drain that was refused deleted the ApiToken")
	}

	b.OK(killed.cmd.Process.Kill())
	<-killed.ends
	drain := b.process(drains...)
	<-drain.ends
	if drain.err != nil {
		t.Fatalf("%v\n%s", drain.err, drain.log.String())
	}
	for _, part := range []string{"waiting 15s to see whether it is renewed", key.ID, b.ns + "/" + name + " is gone", "done: nothing waits",
		"msg=audit audit=call", "operation=revoke"} {
		if !strings.Contains(drain.log.String(), part) {
			t.Errorf("it does not say %q:\n%s", part, drain.log.String())
		}
	}
	if strings.Contains(drain.log.String(), "CANARY") {
		t.Errorf("it shows the minting credentials:\n%s", drain.log.String())
	}
	b.ExpectGone(b.token(name))
	if left := sim.Named(key.Name); len(left) != 0 {
		t.Errorf("the vendor still has %+v", left)
	}
	err := b.Get(t.Context(), client.ObjectKey{Namespace: b.ns, Name: "proxyscrape"}, &v1alpha1.TokenProvider{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the TokenProvider is left: %v", err)
	}
}
