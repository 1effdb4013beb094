package main

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDescribeMasksSecretValues(t *testing.T) {
	got := describe(map[string][]byte{
		"AWS_ACCESS_KEY_ID": []byte("AKIAABCDEFGHIJKLMNOP"), "AWS_SECRET_ACCESS_KEY": []byte("CANARY-1"), "token": []byte("CANARY-2"),
		"AWS_REGION": []byte("us-east-1"),
	})
	want := "AWS_ACCESS_KEY_ID=AKIA...MNOP\nAWS_REGION=us-east-1\nAWS_SECRET_ACCESS_KEY=********\ntoken=********\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := short("AKIAABCD"); got != hidden {
		t.Errorf("of a short identifier %q is shown", got)
	}
}

func TestPrintedTextHasNoSecretValues(t *testing.T) {
	secrets := &redactor{}
	var out bytes.Buffer
	n := &narrator{out: &out, secrets: secrets}
	secrets.add("CANARY-CANARY")
	secrets.add("the") // would hide words
	n.heading("the CANARY-CANARY")
	n.say("a\nCANARY-CANARY\n")
	err := n.check(t.Context(), "CANARY-CANARY", func() (string, error) { return "", errors.New("CANARY-CANARY") })
	var f *failure
	if !errors.As(err, &f) {
		t.Fatalf("got %v", err)
	}
	n.fail(f, "level=INFO CANARY-CANARY")
	if strings.Contains(out.String(), "CANARY") || !strings.Contains(out.String(), "the "+hidden) {
		t.Errorf("printed\n%s", out.String())
	}
	if n.held != 0 {
		t.Errorf("%d checks held", n.held)
	}
}

func TestCheckPrintsAClaimOnceItHolds(t *testing.T) {
	var out bytes.Buffer
	n := &narrator{out: &out, secrets: &redactor{}}
	if err := n.check(t.Context(), "it holds", func() (string, error) { return "seen", nil }); err != nil || n.held != 1 {
		t.Errorf("got %v, %d held", err, n.held)
	}
	if got, want := out.String(), "   ok   it holds: seen\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	err := n.check(ctx, "it is interrupted", func() (string, error) {
		return "", eventually(ctx, time.Hour, func() error { return errors.New("not yet") })
	})
	if !errors.Is(err, errInterrupted) {
		t.Errorf("an interrupt is %v", err)
	}
}

func TestEventuallyRetriesUntilSuccessOrTimeout(t *testing.T) {
	tries := 0
	err := eventually(t.Context(), time.Hour, func() error {
		if tries++; tries < 2 {
			return errors.New("not yet")
		}
		return nil
	})
	if err != nil || tries != 2 {
		t.Errorf("got %v after %d tries", err, tries)
	}
	if err := eventually(t.Context(), time.Millisecond, func() error { return errors.New("never") }); err == nil || !strings.Contains(err.Error(), "never") {
		t.Errorf("got %v", err)
	}
}

func TestVerdictReturnsTheExitCode(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		code int
		says string
	}{
		"all held":     {nil, 0, "All 0 checks held"},
		"interrupted":  {errInterrupted, exitInterrupted, "Interrupted"},
		"one did not":  {&failure{claim: "a claim", seen: errors.New("something else")}, 1, "expected  a claim\n  seen      something else"},
		"it broke off": {errors.New("no disk"), 1, "no disk"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			d := &demo{secrets: &redactor{}}
			d.out = &narrator{out: &out, secrets: d.secrets}
			if code := d.verdict(tc.err, time.Second); code != tc.code || !strings.Contains(out.String(), tc.says) {
				t.Errorf("code %d, printed %q", code, out.String())
			}
		})
	}
}

func TestManifestsHaveTheObjectsThatTheDemoNames(t *testing.T) {
	const config = "../../../../config"
	samples, err := resources(filepath.Join(config, "samples"))
	if err != nil {
		t.Fatal(err)
	}
	for name, kind := range map[string]string{team: "Namespace", providerName: "ClusterTokenProvider", writer: "ApiToken", reader: "ApiToken"} {
		if _, err := find(samples, kind, name); err != nil {
			t.Error(err)
		}
	}
	rights, err := resources(filepath.Join(config, "rbac"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := find(rights, "ServiceAccount", operatorName); err != nil {
		t.Error(err)
	}
	if args, err := operatorArgs(filepath.Join(config, "manager")); err != nil || len(args) == 0 {
		t.Errorf("arguments of the operator: %q, %v", args, err)
	}
}
