package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/cobra"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/controllers/orphansweep"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/drain"
	"apitoken.dev/operator/internal/features"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/drivers/rest"
	"apitoken.dev/operator/internal/provider/registry"
)

func parse(t *testing.T, args ...string) (operator.Options, error) {
	t.Helper()
	return optionsOf(t, newCommand, args)
}

// optionsOf executes a command with these arguments, and returns the options that it would
// run with.
func optionsOf[O any](t *testing.T, command func(run func(context.Context, O) error) *cobra.Command, args []string) (O, error) {
	t.Helper()
	var got O
	cmd := command(func(_ context.Context, o O) error {
		got = o
		return nil
	})
	cmd.SetArgs(args)
	cmd.SetErr(io.Discard)
	err := cmd.ExecuteContext(t.Context())
	return got, err
}

// TestLogLevelKeepsTheAuditTrail: an operator that only logs errors still writes audit
// lines, and so does manager drain, in the same format.
func TestLogLevelKeepsTheAuditTrail(t *testing.T) {
	var logged bytes.Buffer
	says := func(o operator.Options) {
		o.Logger.Info("said")
		audit.New(o.Audit).Found(audit.Subject{}, audit.Finding{What: audit.FoundRevoked, Credential: "at1-a"})
	}
	manager := newCommand(func(_ context.Context, o operator.Options) error { says(o); return nil })
	manager.SetArgs([]string{"--log-level=error"})
	drains := newDrainCommand(func(_ context.Context, d drain.Options) error { says(d.Operator); return nil })
	drains.SetArgs([]string{"--log-format=json"})
	for _, cmd := range []*cobra.Command{manager, drains} {
		logged.Reset()
		cmd.SetErr(&logged)
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		line := map[string]any{}
		if err := json.Unmarshal(logged.Bytes(), &line); err != nil || line["msg"] != audit.Message || line[audit.KeyCredential] != "at1-a" {
			t.Errorf("%s logs %q: %v", cmd.Name(), &logged, err)
		}
	}
}

func TestDefaultsApplyWithoutFlags(t *testing.T) {
	got, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	want := operator.Options{
		Version: "dev", Namespace: operator.DefaultNamespace, MetricsAddress: ":8443", MetricsSecure: true, MetricsAuth: true, ProbeAddress: ":8081", LeaderElection: true,
		Concurrency: 256, ClusterPlaces: 16, ProviderPlaces: 4, NamespacePlaces: 16,
		SweepInterval: time.Hour, SweepMode: orphansweep.Report, Shutdown: 95 * time.Second,
		ProviderRate: 10, ProviderBurst: 20, MetricsPerToken: true, TracingRatio: 1,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(operator.Options{}, "Logger", "Audit", "Features")); diff != "" {
		t.Error(diff)
	}
	for gate, spec := range features.Specs() {
		if got.Features.Enabled(gate) != spec.Default {
			t.Errorf("without --feature-gates, %s is %t", gate, !spec.Default)
		}
	}
}

func TestFlagsOverrideTheEnvironment(t *testing.T) {
	t.Setenv("APITOKEN_SWEEP_MODE", "Revoke")
	t.Setenv("APITOKEN_NAMESPACES", "a,b")
	t.Setenv("APITOKEN_LEADER_ELECT", "false")
	t.Setenv("APITOKEN_CONCURRENCY", "4")
	t.Setenv("POD_NAMESPACE", "of-the-pod")
	t.Setenv("APITOKEN_TENANT_ENDPOINTS", "public,10.20.0.0/16")
	got, err := parse(t, "--concurrency=8", "--tenant-proxy=http://proxy.example.com:3128")
	if err != nil {
		t.Fatal(err)
	}
	if got.SweepMode != orphansweep.Revoke || got.LeaderElection || got.Namespace != "of-the-pod" {
		t.Errorf("the environment gave %+v", got)
	}
	if got.TenantEndpoints.String() != "public,10.20.0.0/16" || got.TenantProxy != "http://proxy.example.com:3128" {
		t.Errorf("TokenProviders may reach %s, with the proxy %q", got.TenantEndpoints, got.TenantProxy)
	}
	if diff := cmp.Diff([]string{"a", "b"}, got.Namespaces); diff != "" {
		t.Error(diff)
	}
	if got.Concurrency != 8 {
		t.Errorf("a flag is overruled by the environment: concurrency is %d", got.Concurrency)
	}
	t.Setenv("APITOKEN_NAMESPACE", "explicit")
	if got, err = parse(t); err != nil || got.Namespace != "explicit" {
		t.Errorf("the namespace is %q, %v", got.Namespace, err)
	}
}

func TestInvalidFlagsAreRefused(t *testing.T) {
	for name, args := range map[string][]string{
		"a mode that does not exist": {"--sweep-mode=Delete"},
		"concurrency 0":              {"--concurrency=0"},
		"places 0":                   {"--places-per-provider=0"},
		"interval 0":                 {"--sweep-interval=0s"},
		"an unknown log format":      {"--log-format=xml"},
		"not a URL of a collector":   {"--tracing-endpoint=collector:4318"},
		"a fraction above 1":         {"--tracing-ratio=1.5"},
		"an unknown log level":       {"--log-level=loud"},
		"an unknown gate":            {"--feature-gates=Nothing=true"},
		"an argument":                {"something"},
		"a negative rate":            {"--kube-api-qps=-1"},
		"tokens in clear text":       {"--metrics-secure=false"},
		"not a network of endpoints": {"--tenant-endpoints=internal"},
		"not a URL of a proxy":       {"--tenant-proxy=proxy.example.com:3128"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(t, args...); err == nil {
				t.Error("no error")
			}
		})
	}
	t.Run("the environment", func(t *testing.T) {
		t.Setenv("APITOKEN_SWEEP_INTERVAL", "soon")
		if _, err := parse(t); err == nil || !strings.Contains(err.Error(), "APITOKEN_SWEEP_INTERVAL") {
			t.Errorf("got %v", err)
		}
	})
}

// TestRefusalOfANumberNamesTheFlag: this holds for every number that is too small.
func TestRefusalOfANumberNamesTheFlag(t *testing.T) {
	for _, arg := range []string{"--concurrency=0", "--places-per-cluster-provider=-3", "--places-per-provider=0", "--places-per-namespace=0"} {
		_, err := parse(t, arg)
		flag, value, _ := strings.Cut(arg, "=")
		if want := flag + " is " + value + ": it must be at least 1"; err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", arg, err, want)
		}
	}
}

// TestHelpSaysWhatOneNamespaceGets: a namespace gets fewer than all places of a
// ClusterTokenProvider.
func TestHelpSaysWhatOneNamespaceGets(t *testing.T) {
	cmd := newCommand(nil)
	if got := cmd.Flags().Lookup("places-per-cluster-provider").Usage; !strings.Contains(got, "One namespace gets at most three quarters: 12 of 16") {
		t.Error(got)
	}
}

func TestLogsAreJSONWithoutSecrets(t *testing.T) {
	var out bytes.Buffer
	logger, err := logging{level: "info", format: "json"}.logger(&out)
	if err != nil {
		t.Fatal(err)
	}
	logger.Info("hello", "value", provider.NewValue("CANARY"))
	logger.V(4).Info("not at this level")
	if got := out.String(); !strings.HasPrefix(got, "{") || strings.Contains(got, "CANARY") || strings.Count(got, "\n") != 1 {
		t.Errorf("logged %q", got)
	}
}

// TestDisabledRestDriverIsMissing: a rest block has no driver, and all other blocks have
// theirs.
func TestDisabledRestDriverIsMissing(t *testing.T) {
	o, err := parse(t, "--feature-gates=RestDriver=false")
	if err != nil {
		t.Fatal(err)
	}
	r, err := drivers(o.Features)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Resolve(registry.Spec{ProviderSpec: &v1alpha1.ProviderSpec{Rest: &v1alpha1.RestProvider{}}}); !errors.Is(err, registry.ErrNoDriver) {
		t.Errorf("a rest block: %v", err)
	}
	if left := len(r.Drivers()); left != len(v1alpha1.Blocks())-1 {
		t.Errorf("%d drivers are left", left)
	}
}

// TestRestDriverFollowsItsBlock: its capabilities are those that the block declares.
func TestRestDriverFollowsItsBlock(t *testing.T) {
	r, err := drivers(features.New())
	if err != nil {
		t.Fatal(err)
	}
	spec := v1alpha1.ProviderSpec{Rest: &v1alpha1.RestProvider{
		BaseURL: "https://api", Scopes: []v1alpha1.RestScope{{Scope: "a:b"}}, Limits: v1alpha1.RestLimits{Live: 3},
	}}
	driver, settings, err := r.Resolve(registry.Spec{ProviderSpec: &spec})
	if err != nil {
		t.Fatal(err)
	}
	if caps := driver.Capabilities(); driver.Type() != rest.Type || caps.MaxLive != 3 || !slices.Equal(caps.Scopes, []string{"a:b"}) {
		t.Errorf("driver %s: %+v", driver.Type(), caps)
	}
	if s, ok := settings.(rest.Settings); !ok || s.BaseURL != "https://api" {
		t.Errorf("settings %+v", settings)
	}
}
