package apifake

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Key names one object of a Server.
type Key struct {
	Kind, Namespace, Name string
}

func (k Key) String() string {
	if k.Namespace == "" {
		return k.Kind + " " + k.Name
	}
	return k.Kind + " " + k.Namespace + "/" + k.Name
}

// KeyOf returns the Key of an object. Its Kind is empty if a Server does not support the kind.
func KeyOf(obj client.Object) Key {
	key := Key{Namespace: obj.GetNamespace(), Name: obj.GetName()}
	if k, _, err := kindOf(obj); err == nil {
		key.Kind = k.gvk.Kind
	}
	return key
}

// Server is an API server in memory. It is safe for concurrent use. Two runs with the same
// requests get the same answers, including UIDs.
type Server struct {
	now func() time.Time

	mu sync.Mutex
	// objects are immutable, so that copies of the Server can share them.
	objects map[Key]client.Object
	// changes has, at index i, the object that changed at revision i+1.
	changes []Key
	uids    int64
}

// NewServer returns an empty server, which reads the time from now.
func NewServer(now func() time.Time) *Server {
	return &Server{now: now, objects: make(map[Key]client.Object)}
}

// Clone returns a server in the same state, which reads the time from now. It copies the
// index of the objects, and shares the objects.
func (s *Server) Clone(now func() time.Time) *Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Server{now: now, objects: maps.Clone(s.objects), changes: slices.Clip(s.changes), uids: s.uids}
}

// Revision is the resourceVersion of the last change.
func (s *Server) Revision() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision()
}

// Changed returns the objects that changed after a revision, each once, in the
// order of their first change.
func (s *Server) Changed(since int64) []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	if since >= s.revision() {
		return nil
	}
	var keys []Key
	for _, key := range s.changes[max(since, 0):] {
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// Peek returns a stored object, or nil. It is not a copy, so it must not be changed. No hook
// is called.
func (s *Server) Peek(key Key) client.Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[key]
}

// Keys returns the keys of all objects of a kind, sorted; of all objects if kind is empty.
func (s *Server) Keys(kind string) []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys(func(key Key) bool { return kind == "" || key.Kind == kind })
}

func (s *Server) keys(want func(Key) bool) []Key {
	var keys []Key
	for key := range s.objects {
		if want(key) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, compareKeys)
	return keys
}

func (s *Server) revision() int64 { return int64(len(s.changes)) }

// store saves an object with a new revision. The object must not be changed afterwards.
func (s *Server) store(key Key, obj client.Object) {
	s.changes = append(s.changes, key)
	obj.SetResourceVersion(strconv.FormatInt(s.revision(), 10))
	s.objects[key] = obj
}

// remove drops an object. Like the real server, it uses up a revision.
func (s *Server) remove(key Key) {
	s.changes = append(s.changes, key)
	delete(s.objects, key)
}

func (s *Server) newUID() types.UID {
	s.uids++
	return types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", s.uids))
}

func (s *Server) timestamp() metav1.Time {
	return metav1.Unix(s.now().Unix(), 0)
}

// do runs one request at a time. It unlocks the server even if op panics.
func (s *Server) do(op func() (client.Object, error)) (client.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return op()
}

// Scheme has the kinds that a Server supports.
func Scheme() *runtime.Scheme { return shared().scheme }
