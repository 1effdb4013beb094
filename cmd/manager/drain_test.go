package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/internal/drain"
)

func parseDrain(t *testing.T, args ...string) (drain.Options, error) {
	t.Helper()
	var got drain.Options
	cmd := newDrainCommand(func(_ context.Context, d drain.Options) error {
		got = d
		return nil
	})
	cmd.SetArgs(args)
	cmd.SetErr(io.Discard)
	err := cmd.ExecuteContext(t.Context())
	return got, err
}

// Without flags a drain deletes nothing by itself, and works in the operator's default namespace.
func TestDrainDefaults(t *testing.T) {
	got, err := parseDrain(t)
	if err != nil {
		t.Fatal(err)
	}
	if got.DeleteAll || got.Patience != 10*time.Minute || got.Operator.Namespace != "apitoken-system" || got.Progress == nil {
		t.Errorf("by default: %+v", got)
	}
}

// A drain takes the operator's flags and their variables, so that it names, finds and reaches the same.
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

func TestDrainRefusesFlags(t *testing.T) {
	for args, want := range map[string]string{
		"--timeout=0s":                "--timeout has to be longer than 0",
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

// Only what went wrong is logged next to the progress lines.
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
