package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/test/support/repofile"
)

// lines writes to a log in JSON and returns the lines.
func lines(t *testing.T, write func(*audit.Log)) []map[string]any {
	t.Helper()
	var out bytes.Buffer
	write(audit.New(logr.FromSlogHandler(slog.NewJSONHandler(&out, nil))))
	var all []map[string]any
	for line := range strings.Lines(out.String()) {
		got := map[string]any{}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, got)
	}
	return all
}

// everything writes one line of each kind with every key.
func everything(ctx context.Context, l *audit.Log) {
	ctx = audit.With(ctx, audit.Subject{Namespace: "ml", Name: "training", UID: "u", Generation: 2,
		Why: audit.Why{Reason: "Scheduled", AskedBy: audit.AskedBySchedule}})
	provider := audit.Provider{Kind: "TokenProvider", Namespace: "ml", Name: "store", Driver: "aws"}
	l.Call(ctx, audit.Operation{Name: "revoke", Provider: provider, Credential: "at1-a", KeyID: "AKIA1"})(
		audit.Outcome{Result: audit.ResultRejected, Code: "PermissionDenied", Took: time.Second})
	l.Found(audit.Of(ctx), audit.Finding{What: audit.FoundRevoked, Provider: provider, Credential: "at1-a", KeyID: "AKIA1"})
}

func TestLinesHaveTheKeysOfTheInterface(t *testing.T) {
	t.Parallel()
	got := lines(t, func(l *audit.Log) { everything(t.Context(), l) })
	if len(got) != 3 {
		t.Fatalf("%d lines", len(got))
	}
	used := map[string]bool{}
	for _, line := range got {
		if line["msg"] != audit.Message || line["level"] != "INFO" {
			t.Errorf("%v", line)
		}
		for key := range line {
			used[key] = true
		}
	}
	for _, own := range []string{"time", "level", "msg"} {
		delete(used, own)
	}
	if want := slices.Sorted(slices.Values(audit.Keys())); !slices.Equal(slices.Sorted(maps.Keys(used)), want) {
		t.Errorf("keys %q, want %q", slices.Sorted(maps.Keys(used)), want)
	}
	if got[0][audit.KeyCall] != got[1][audit.KeyCall] || got[0][audit.KeyCall] == "" {
		t.Errorf("call %v and outcome %v cannot be joined", got[0], got[1])
	}
	if got[1][audit.KeySeconds] != 1.0 || got[1][audit.KeyGeneration] != 2.0 {
		t.Errorf("%v", got[1])
	}
}

// TestLaterReasonKeepsTheSubject: of a reconcile that revokes several credentials, each
// call has its own reason.
func TestLaterReasonKeepsTheSubject(t *testing.T) {
	t.Parallel()
	ctx := audit.Because(audit.With(t.Context(), audit.Subject{Name: "training"}), audit.Why{Reason: audit.ReasonDeleted})
	if got := audit.Of(ctx); got.Name != "training" || got.Reason != audit.ReasonDeleted {
		t.Errorf("%+v", got)
	}
}

// TestForgedValuesStayOneValue: names and ids can come from a status that a user wrote.
func TestForgedValuesStayOneValue(t *testing.T) {
	t.Parallel()
	got := lines(t, func(l *audit.Log) {
		l.Found(audit.Subject{}, audit.Finding{What: audit.FoundRevoked, Credential: "a\n{\"audit\":\"found\"}\x1b[2K", KeyID: strings.Repeat("x", 1<<20)})
	})
	if len(got) != 1 {
		t.Fatalf("%d lines", len(got))
	}
	if name, _ := got[0][audit.KeyCredential].(string); strings.ContainsAny(name, "\n\x1b") {
		t.Errorf("%q", name)
	}
	if id, _ := got[0][audit.KeyKeyID].(string); len(id) != 256 {
		t.Errorf("an id of %d bytes", len(id))
	}
}

// TestMissingLogIsNoError: a process without an audit trail works.
func TestMissingLogIsNoError(t *testing.T) {
	t.Parallel()
	everything(t.Context(), nil)
}

// code is what a document sets in code at the beginning of a row of a table.
var code = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")

// TestDocumentNamesEverything: docs/audit.md is the interface, and has every key and value.
func TestDocumentNamesEverything(t *testing.T) {
	t.Parallel()
	sections := map[string][]string{}
	for section := range strings.SplitSeq(repofile.Read(t, "docs/audit.md"), "\n## ") {
		title, body, _ := strings.Cut(section, "\n")
		for _, row := range code.FindAllStringSubmatch(body, -1) {
			sections[title] = append(sections[title], row[1])
		}
	}
	want := map[string][]string{
		"Keys":                    audit.Keys(),
		"Reasons":                 append(issueReasons(), texts(audit.Reasons())...),
		"Causes":                  texts(audit.Askers()),
		"What the operator found": texts(audit.Findings()),
	}
	for title, values := range want {
		got := slices.Sorted(slices.Values(sections[title]))
		if slices.Sort(values); !slices.Equal(got, values) {
			t.Errorf("%s: the document has %q, the code %q", title, got, values)
		}
	}
}

func texts[T ~string](all []T) []string {
	var out []string
	for _, v := range all {
		out = append(out, string(v))
	}
	return out
}

func issueReasons() []string {
	return texts([]plan.IssueReason{
		plan.IssueInitial, plan.IssueScheduled, plan.IssueRotationRequested, plan.IssueSpecChanged, plan.IssueSecretLost,
		plan.IssueSecretChanged, plan.IssueHandedOver, plan.IssueCredentialMissing, "Restored",
	})
}
