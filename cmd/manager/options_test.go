package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/controllers/orphansweep"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/aws"
)

func parse(t *testing.T, args ...string) (operator.Options, error) {
	t.Helper()
	var got operator.Options
	cmd := newCommand(func(_ context.Context, o operator.Options) error {
		got = o
		return nil
	})
	cmd.SetArgs(args)
	cmd.SetErr(io.Discard)
	err := cmd.ExecuteContext(t.Context())
	return got, err
}

func TestDefaults(t *testing.T) {
	got, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	want := operator.Options{
		Version: "dev", Namespace: operator.DefaultNamespace, MetricsAddress: ":8080", ProbeAddress: ":8081",
		Concurrency: 16, SweepInterval: time.Hour, SweepMode: orphansweep.Report, Shutdown: 95 * time.Second,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(operator.Options{}, "Logger")); diff != "" {
		t.Error(diff)
	}
}

func TestFlagsAndEnvironment(t *testing.T) {
	t.Setenv("APITOKEN_SWEEP_MODE", "Revoke")
	t.Setenv("APITOKEN_NAMESPACES", "a,b")
	t.Setenv("APITOKEN_LEADER_ELECT", "true")
	t.Setenv("APITOKEN_CONCURRENCY", "4")
	t.Setenv("POD_NAMESPACE", "of-the-pod")
	got, err := parse(t, "--concurrency=8")
	if err != nil {
		t.Fatal(err)
	}
	if got.SweepMode != orphansweep.Revoke || !got.LeaderElection || got.Namespace != "of-the-pod" {
		t.Errorf("the environment gave %+v", got)
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

func TestRefusedOptions(t *testing.T) {
	for name, args := range map[string][]string{
		"a mode that does not exist":  {"--sweep-mode=Delete"},
		"no concurrency":              {"--concurrency=0"},
		"no interval":                 {"--sweep-interval=0s"},
		"a log format":                {"--log-format=xml"},
		"a log level":                 {"--log-level=loud"},
		"an argument":                 {"something"},
		"a negative number of writes": {"--kube-api-qps=-1"},
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

func TestDrivers(t *testing.T) {
	r, err := drivers()
	if err != nil {
		t.Fatal(err)
	}
	spec := v1alpha1.AWSProvider{IAMEndpoint: "https://iam", S3Endpoint: "https://s3", Region: "r", CABundle: "ca", PermissionsBoundary: "arn"}
	driver, settings, err := r.Resolve(&v1alpha1.ProviderSpec{AWS: &spec})
	if err != nil {
		t.Fatal(err)
	}
	want := aws.Settings{IAMEndpoint: "https://iam", S3Endpoint: "https://s3", Region: "r", CABundle: "ca", PermissionsBoundary: "arn"}
	if diff := cmp.Diff(any(want), settings); diff != "" || driver.Type() != aws.Type {
		t.Errorf("driver %s: %s", driver.Type(), diff)
	}
	if _, ok := driver.(provider.Validator); !ok {
		t.Error("the aws driver validates nothing")
	}
	if _, ok := driver.(provider.Connector); !ok {
		t.Error("the aws driver has no connection")
	}
	if _, _, err := r.Resolve(&v1alpha1.ProviderSpec{}); err == nil {
		t.Error("a spec without a block has a driver")
	}
}
