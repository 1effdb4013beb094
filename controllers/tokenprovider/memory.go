package tokenprovider

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/account"
)

// memory is what a process knows of providers in addition to their status. A restart loses
// it, which costs one check per provider.
type memory struct {
	mu         sync.Mutex
	checks     map[account.Key]check
	counters   map[account.Key]time.Duration
	lastErrors map[account.Key]time.Duration
	shown      map[account.Key]*shownHere
}

// seenAt identifies a verification. Another value starts a new one.
type seenAt struct {
	uid      types.UID
	endpoint account.Endpoint
	minter   account.MinterIdentity
}

type shownHere struct {
	seenAt
	shown
}

// shownAt returns the credentials that an endpoint has shown so far. Only the reconcile of
// that provider changes them.
func (m *memory) shownAt(key account.Key, at seenAt) *shown {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.shown[key]; s != nil && s.seenAt == at {
		return &s.shown
	}
	if m.shown == nil {
		m.shown = map[account.Key]*shownHere{}
	}
	s := &shownHere{seenAt: at, shown: shown{ids: map[string][]string{}}}
	m.shown[key] = s
	return &s.shown
}

// forgetShown drops the state of a finished verification.
func (m *memory) forgetShown(key account.Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.shown, key)
}

// version identifies what a check was based on.
type version struct {
	uid        types.UID
	generation int64
	secret     string // resourceVersion
}

type check struct {
	version  version
	finding  finding
	failures int
	// falseAlarms counts the consecutive checks that an unhealthy provider caused and that found
	// no error. alarmAt is when the next one may run.
	falseAlarms int
	alarmAt     time.Duration
}

func (m *memory) lastCheck(key account.Key) check {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.checks[key]
}

func (m *memory) setCheck(key account.Key, c check) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.checks == nil {
		m.checks = map[account.Key]check{}
	}
	m.checks[key] = c
}

// countedAt returns when this process last changed status.liveCredentials.
func (m *memory) countedAt(key account.Key) (time.Duration, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.counters[key]
	return at, ok
}

func (m *memory) setCounted(key account.Key, at time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counters == nil {
		m.counters = map[account.Key]time.Duration{}
	}
	m.counters[key] = at
}

// lastErrorAt returns when this process last changed status.lastError.
func (m *memory) lastErrorAt(key account.Key) (time.Duration, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.lastErrors[key]
	return at, ok
}

func (m *memory) setLastError(key account.Key, at time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lastErrors == nil {
		m.lastErrors = map[account.Key]time.Duration{}
	}
	m.lastErrors[key] = at
}

func (m *memory) forget(key account.Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.checks, key)
	delete(m.shown, key)
	delete(m.counters, key)
	delete(m.lastErrors, key)
}
