package memory

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"k8s.io/apimachinery/pkg/types"
)

// maxTokens is the maximum number of ApiTokens in each store.
const maxTokens = 1 << 17

// store is a map that keeps the most recently used entries, up to a maximum. It is safe for
// concurrent use.
type store[K comparable, V any] struct {
	mu      sync.Mutex
	entries *simplelru.LRU[K, V]
}

func newStore[K comparable, V any](most int) *store[K, V] {
	entries, err := simplelru.NewLRU[K, V](most, nil)
	if err != nil {
		panic(err) // only for a maximum that is not positive, and all of them are constants
	}
	return &store[K, V]{entries: entries}
}

// byToken is a store with ApiTokens as keys. Only perToken creates one, so Memory.Forget
// covers all of them.
type byToken[V any] = store[types.NamespacedName, V]

// perToken creates a store with ApiTokens as keys, and registers it with its Memory.
func perToken[V any](m *Memory) *byToken[V] {
	s := newStore[types.NamespacedName, V](maxTokens)
	m.stores = append(m.stores, s)
	return s
}

// get returns the value of a key, and the zero value for an unknown key.
func (s *store[K, V]) get(key K) (V, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries.Get(key)
}

// edit changes the value of a key. An unknown key starts with the zero value. The key is
// dropped if change returns false.
func (s *store[K, V]) edit(key K, change func(value *V) (keep bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, known := s.entries.Get(key)
	switch {
	case change(&value):
		s.entries.Add(key, value)
	case known:
		s.entries.Remove(key)
	}
}

// put sets the value of a key.
func (s *store[K, V]) put(key K, value V) {
	s.edit(key, func(v *V) bool { *v = value; return true })
}

// forget drops a key.
func (s *store[K, V]) forget(key K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries.Remove(key)
}

// filter calls keep for every entry and drops those for which it returns false.
func (s *store[K, V]) filter(keep func(key K, value V) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range s.entries.Keys() {
		if value, _ := s.entries.Peek(key); !keep(key, value) {
			s.entries.Remove(key)
		}
	}
}

// len returns how many keys are known.
func (s *store[K, V]) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries.Len()
}
