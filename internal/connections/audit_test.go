package connections

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/testutil"
)

// changing says of every method of a provider's client whether it changes something at
// the provider. A new method belongs into one of the two, and into calls.
var changing = map[string]operation{"Mint": opMint, "Update": opUpdate, "Revoke": opRevoke}

var reading = map[string]bool{"Find": true, "List": true, "Occupied": true, "Accepts": true}

// TestEveryMethodIsClassified fails when a client of a provider gets a method of which
// nobody has said whether it belongs into the audit trail.
func TestEveryMethodIsClassified(t *testing.T) {
	t.Parallel()
	var writing []operation
	for _, powers := range []reflect.Type{
		reflect.TypeFor[provider.Client](), reflect.TypeFor[provider.Updater](), reflect.TypeFor[provider.Counter](), reflect.TypeFor[provider.Prober](),
	} {
		for i := range powers.NumMethod() {
			name := powers.Method(i).Name
			op, changes := changing[name]
			if changes == reading[name] {
				t.Errorf("%s of %s is not classified as reading or changing", name, powers)
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

// TestChangingCallsAreAudited: a line before each call that changes something, one with
// its outcome after it, and none for a call that reads or was not sent.
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
			b.gate.key, b.gate.driver, b.gate.audit = account.Key{Kind: "TokenProvider", Namespace: "ml", Name: "store"}, "aws", audit.New(log.Logger(0))
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

// TestAuditLineComesBeforeTheCall: a process that ends in the middle of a call has
// written what it was about to do.
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

// TestAnsweredIDIsAudited: the outcome of a Mint has the public id.
func TestAnsweredIDIsAudited(t *testing.T) {
	t.Parallel()
	b, log := newBench(t), &testutil.Log{}
	b.gate.audit = audit.New(log.Logger(0))
	_, err := through(t.Context(), b.lane(), opMint, provider.Ref{Name: "at1-a"}, func() (provider.Minted, error) {
		return provider.Minted{Credential: provider.Credential{ID: "AKIA1"}}, nil
	})
	if err != nil || log.Count(`"audit"="outcome"`, `"credential"="at1-a"`, `"keyID"="AKIA1"`) != 1 {
		t.Errorf("%v: %s", err, log)
	}
}
