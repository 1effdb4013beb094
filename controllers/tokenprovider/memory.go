package tokenprovider

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/account"
)

// memory is what a process knows of providers beside their status. Losing it
// costs one check per provider.
type memory struct {
	mu       sync.Mutex
	checks   map[account.Key]check
	counters map[account.Key]time.Duration
	troubles map[account.Key]time.Duration
	shown    map[account.Key]*shownHere
}

// seenAt is what a verification is about: anything else begins another one.
type seenAt struct {
	uid      types.UID
	endpoint account.Endpoint
	minter   account.MinterIdentity
}

type shownHere struct {
	seenAt
	shown
}

// shownAt returns what an endpoint has shown so far. Only the reconcile of that
// provider changes it.
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

// forgetShown drops what a verification that is over has seen.
func (m *memory) forgetShown(key account.Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.shown, key)
}

// version is what a check was made of.
type version struct {
	uid        types.UID
	generation int64
	secret     string // resourceVersion
}

type check struct {
	version  version
	finding  finding
	failures int
	// alarms is how many examinations in a row were made on a suspicion and found
	// nothing; alarmAt is when the next suspicion may lead to one.
	alarms  int
	alarmAt time.Duration
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

// countedAt returns when status.liveCredentials was last changed by this process.
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

// troubledAt returns when status.lastError was last changed by this process.
func (m *memory) troubledAt(key account.Key) (time.Duration, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.troubles[key]
	return at, ok
}

func (m *memory) setTroubled(key account.Key, at time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.troubles == nil {
		m.troubles = map[account.Key]time.Duration{}
	}
	m.troubles[key] = at
}

func (m *memory) forget(key account.Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.checks, key)
	delete(m.shown, key)
	delete(m.counters, key)
	delete(m.troubles, key)
}
