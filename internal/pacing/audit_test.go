package pacing

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/testutil"
)

// changing are the methods of a provider's client that change something at the provider,
// and reading all others. Add a new method to one of the two, and to bench.calls.
var changing = map[string]operation{"Mint": opMint, "Update": opUpdate, "Revoke": opRevoke}

var reading = map[string]bool{"Find": true, "List": true, "Occupied": true, "Accepts": true}

// TestEveryMethodIsClassified fails for a new method of a provider's client until it is
// added to changing or to reading, so that no changing call misses the audit trail.
func TestEveryMethodIsClassified(t *testing.T) {
	t.Parallel()
	var writing []operation
	interfaces := []reflect.Type{reflect.TypeFor[provider.Client]()}
	for _, power := range powers {
		interfaces = append(interfaces, power.of)
	}
	for _, of := range interfaces {
		for i := range of.NumMethod() {
			name := of.Method(i).Name
			op, changes := changing[name]
			if changes == reading[name] {
				t.Errorf("%s of %s is not classified as reading or changing", name, of)
			}
			if changes {
				writing = append(writing, op)
			}
		}
	}
	slices.Sort(writing)
	if want := slices.Sorted(maps.Keys(writes)); !slices.Equal(writing, want) {
		t.Errorf("the changing methods are %q, and the operations that count as writes %q", writing, want)
	}
}

// TestChangingCallsAreAudited: one line before each call that changes something and one
// with its outcome after it; none for a call that reads.
func TestChangingCallsAreAudited(t *testing.T) {
	t.Parallel()
	subject := audit.Subject{Namespace: "ml", Name: "training", UID: "u", Generation: 3,
		Why: audit.Why{Reason: "RotationRequested", AskedBy: audit.AskedByGeneration}}
	for name := range newBench(t).calls(t.Context()) {
		for what, failure := range map[string]struct {
			err    error
			result string
		}{
			"succeeds":  {nil, audit.ResultOK},
			"refused":   {&provider.Error{Code: provider.CodePermissionDenied, NotExecuted: true, Message: "CANARY"}, audit.ResultRejected},
			"uncertain": {errors.New("CANARY"), audit.ResultInDoubt},
		} {
			b, log := newBench(t), &testutil.Log{}
			b.gate.driver, b.gate.audit = "aws", audit.New(log.Logger(0))
			b.inner.err = failure.err
			_ = b.calls(audit.With(t.Context(), subject))[name]()
			if !writes[operation(name)] {
				if log.String() != "" {
					t.Errorf("%s: a call that reads is written: %s", name, log)
				}
				continue
			}
			common := []string{`"operation"="` + name + `"`, `"provider"="store"`, `"driver"="aws"`, `"namespace"="ml"`, `"name"="training"`,
				`"uid"="u"`, `"generation"=3`, `"reason"="RotationRequested"`, `"askedBy"="spec.rotation.generation"`}
			if log.Count(append(common, `"audit"="call"`)...) != 1 || log.Count(append(common, `"audit"="outcome"`, `"result"="`+failure.result+`"`)...) != 1 {
				t.Errorf("%s %s: %s", name, what, log)
			}
			if strings.Contains(log.String(), "CANARY") {
				t.Errorf("%s %s: the message of an error is written: %s", name, what, log)
			}
		}
	}
}

// TestAuditLineComesBeforeTheCall, so it is written even if the process ends during the call.
func TestAuditLineComesBeforeTheCall(t *testing.T) {
	t.Parallel()
	b, log := newBench(t), &testutil.Log{}
	b.gate.audit = audit.New(log.Logger(0))
	b.inner.during = func() {
		if log.Count(`"audit"="call"`) != 1 || log.Count(`"audit"="outcome"`) != 0 {
			t.Errorf("during the call: %s", log)
		}
	}
	if err := b.calls(t.Context())["revoke"](); err != nil {
		t.Fatal(err)
	}
	if log.Count(`"audit"="outcome"`) != 1 {
		t.Errorf("after the call: %s", log)
	}
}

// TestAnsweredIDIsAudited: the outcome of a Mint includes the public id.
func TestAnsweredIDIsAudited(t *testing.T) {
	t.Parallel()
	b, log := newBench(t), &testutil.Log{}
	b.gate.audit = audit.New(log.Logger(0))
	_, err := through(t.Context(), b.gate.Client(b.inner, b.caller()).(*client), opMint, provider.Ref{Name: "at1-a"}, func() (provider.Minted, error) {
		return provider.Minted{Credential: provider.Credential{ID: "AKIA1"}}, nil
	})
	if err != nil || log.Count(`"audit"="outcome"`, `"credential"="at1-a"`, `"keyID"="AKIA1"`) != 1 {
		t.Errorf("%v: %s", err, log)
	}
}
