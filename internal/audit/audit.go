// Package audit writes the audit trail: structured log lines that record what the operator
// changed at a provider, for which object, and why. docs/audit.md documents the lines for
// users. The keys and values are an interface: add to them, but never rename one.
//
// No line contains a secret value, a message of a provider, or free text of a user.
package audit

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
)

// Message is the message of every line.
const Message = "audit"

// The keys of a line.
const (
	KeyLine              = "audit"
	KeyCall              = "call"
	KeyOperation         = "operation"
	KeyProviderKind      = "providerKind"
	KeyProviderNamespace = "providerNamespace"
	KeyProvider          = "provider"
	KeyDriver            = "driver"
	KeyNamespace         = "namespace"
	KeyName              = "name"
	KeyUID               = "uid"
	KeyGeneration        = "generation"
	KeyCredential        = "credential"
	KeyKeyID             = "keyID"
	KeyReason            = "reason"
	KeyAskedBy           = "askedBy"
	KeyResult            = "result"
	KeyCode              = "code"
	KeySeconds           = "seconds"
	KeyFound             = "found"
)

// Keys returns all keys of a line, in the order of a line.
func Keys() []string {
	return []string{
		KeyLine, KeyCall, KeyOperation, KeyFound, KeyProviderKind, KeyProviderNamespace, KeyProvider, KeyDriver,
		KeyNamespace, KeyName, KeyUID, KeyGeneration, KeyCredential, KeyKeyID, KeyReason, KeyAskedBy,
		KeyResult, KeyCode, KeySeconds,
	}
}

// The values of KeyLine.
const (
	// LineCall is written before a call that changes something at a provider.
	LineCall = "call"
	// LineOutcome is written after it.
	LineOutcome = "outcome"
	// LineFound records a fact about a credential or a provider.
	LineFound = "found"
)

// The values of KeyResult.
const (
	ResultOK       = "ok"
	ResultRejected = "rejected"
	ResultInDoubt  = "in_doubt"
)

// Provider is the provider that a line is about.
type Provider struct {
	Kind, Namespace, Name, Driver string
}

// Subject is the object that a line is about, and why.
type Subject struct {
	// Namespace and Name of the ApiToken; empty for a credential that belongs to none.
	Namespace, Name, UID string
	// Generation of the ApiToken that was acted on.
	Generation int64
	Why
}

// Why is the reason for an action.
type Why struct {
	Reason  Reason
	AskedBy Asker
}

// Operation is a call that changes something at a provider.
type Operation struct {
	// Name of the operation: mint, update or revoke.
	Name       string
	Provider   Provider
	Credential string
	// KeyID is the public id of the credential; empty if it is unknown.
	KeyID string
}

// Outcome is the result of a call.
type Outcome struct {
	Result string
	// Code of the error; empty without one.
	Code string
	// KeyID is the public id that the provider answered with, if any.
	KeyID string
	Took  time.Duration
}

// Finding is a fact about a credential or a provider.
type Finding struct {
	What              Found
	Provider          Provider
	Credential, KeyID string
}

type subjectKey struct{}

// With returns a context whose calls are attributed to a subject.
func With(ctx context.Context, s Subject) context.Context {
	return context.WithValue(ctx, subjectKey{}, s)
}

// Because returns a context whose calls have another reason for the same subject.
func Because(ctx context.Context, why Why) context.Context {
	s := Of(ctx)
	s.Why = why
	return With(ctx, s)
}

// Of returns the subject of a context.
func Of(ctx context.Context) Subject {
	s, _ := ctx.Value(subjectKey{}).(Subject)
	return s
}

// Log writes the lines. A nil Log writes nothing. It is safe for concurrent use.
type Log struct {
	logger  logr.Logger
	process string
	calls   atomic.Uint64
}

// New returns a Log that writes to a logger.
func New(logger logr.Logger) *Log {
	var id [4]byte
	_, _ = rand.Read(id[:]) // never fails, see its documentation
	return &Log{logger: logger, process: hex.EncodeToString(id[:])}
}

// Call writes the line before a call. The caller calls the result once, after the call.
func (l *Log) Call(ctx context.Context, o Operation) func(Outcome) {
	if l == nil {
		return func(Outcome) {}
	}
	id, subject := l.process+"-"+strconv.FormatUint(l.calls.Add(1), 10), Of(ctx)
	l.write(new(line).add(KeyLine, LineCall).add(KeyCall, id).add(KeyOperation, o.Name).
		provider(o.Provider).subject(subject).credential(o.Credential, o.KeyID).why(subject.Why))
	return func(end Outcome) {
		out := new(line).add(KeyLine, LineOutcome).add(KeyCall, id).add(KeyOperation, o.Name).
			provider(o.Provider).subject(subject).credential(o.Credential, cmp.Or(end.KeyID, o.KeyID)).why(subject.Why).
			add(KeyResult, end.Result).add(KeyCode, end.Code)
		out.pairs = append(out.pairs, KeySeconds, end.Took.Seconds())
		l.write(out)
	}
}

// Found writes a fact about a credential or a provider.
func (l *Log) Found(subject Subject, f Finding) {
	if l == nil {
		return
	}
	l.write(new(line).add(KeyLine, LineFound).add(KeyFound, string(f.What)).
		provider(f.Provider).subject(subject).credential(f.Credential, f.KeyID).why(subject.Why))
}

func (l *Log) write(out *line) { l.logger.Info(Message, out.pairs...) }

// line is the keys and values of one line. Empty values are left out.
type line struct{ pairs []any }

func (l *line) add(key, value string) *line {
	if value != "" {
		l.pairs = append(l.pairs, key, bounded(value))
	}
	return l
}

func (l *line) provider(p Provider) *line {
	return l.add(KeyProviderKind, p.Kind).add(KeyProviderNamespace, p.Namespace).add(KeyProvider, p.Name).add(KeyDriver, p.Driver)
}

func (l *line) subject(s Subject) *line {
	l.add(KeyNamespace, s.Namespace).add(KeyName, s.Name).add(KeyUID, s.UID)
	if s.Generation != 0 {
		l.pairs = append(l.pairs, KeyGeneration, s.Generation)
	}
	return l
}

func (l *line) credential(name, id string) *line {
	return l.add(KeyCredential, name).add(KeyKeyID, id)
}

func (l *line) why(w Why) *line {
	return l.add(KeyReason, string(w.Reason)).add(KeyAskedBy, string(w.AskedBy))
}

// maxValue is the longest value of a line, in bytes. Longer ones are cut.
const maxValue = 256

// bounded returns a value without control characters and of a limited length, because names
// and ids can come from a status that a user wrote, or from a provider.
func bounded(s string) string {
	if len(s) > maxValue {
		s = s[:maxValue-len(cut)] + cut
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

const cut = "..."
