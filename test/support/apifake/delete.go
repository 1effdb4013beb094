package apifake

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// delete carries out a client's request.
func (s *Server) delete(k *kind, key Key, conditions *metav1.Preconditions, dryRun bool) error {
	old := s.objects[key]
	if old == nil {
		return apierrors.NewNotFound(k.resource, key.Name)
	}
	if err := checkPreconditions(k, conditions, old); err != nil {
		return err
	}
	if !dryRun {
		s.discard(k, key, old)
	}
	return nil
}

func checkPreconditions(k *kind, conditions *metav1.Preconditions, old client.Object) error {
	if conditions == nil {
		return nil
	}
	if uid := conditions.UID; uid != nil && *uid != old.GetUID() {
		return apierrors.NewConflict(k.resource, old.GetName(),
			fmt.Errorf("precondition failed: the UID is %s, not %s", old.GetUID(), *uid))
	}
	if version := conditions.ResourceVersion; version != nil && *version != old.GetResourceVersion() {
		return apierrors.NewConflict(k.resource, old.GetName(),
			fmt.Errorf("precondition failed: the resourceVersion is %s, not %s", old.GetResourceVersion(), *version))
	}
	return nil
}

// discard removes an object, or marks it when it has finalizers.
func (s *Server) discard(k *kind, key Key, old client.Object) {
	namespace, isNamespace := old.(*corev1.Namespace)
	switch {
	case !isNamespace && len(old.GetFinalizers()) == 0:
		s.remove(key)
	case old.GetDeletionTimestamp() != nil: // already marked
	case isNamespace:
		marked := *namespace
		marked.SetDeletionTimestamp(new(s.timestamp()))
		marked.Status.Phase = corev1.NamespaceTerminating
		s.store(key, &marked)
	default:
		marked := k.shallow(old)
		marked.SetDeletionTimestamp(new(s.timestamp()))
		marked.SetDeletionGracePeriodSeconds(new(int64(0)))
		if marked.GetGeneration() > 0 {
			marked.SetGeneration(marked.GetGeneration() + 1)
		}
		s.store(key, marked)
	}
}

// Delete deletes an object as the controllers of a cluster do: it calls no hook, and ignores an
// object that does not exist. An object with finalizers is only marked as being deleted.
func (s *Server) Delete(key Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.objects[key]; old != nil {
		s.discard(shared().kinds[key.Kind], key, old)
	}
}

// TerminateNamespace is the first step of deleting a namespace: no objects can be created in it
// any more. It returns the objects that are still in it. The caller acts as the namespace
// controller: it calls Delete for them in any order, and then RemoveNamespace.
func (s *Server) TerminateNamespace(name string) []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := Key{Kind: KindNamespace, Name: name}
	if old := s.objects[key]; old != nil {
		s.discard(shared().kinds[KindNamespace], key, old)
	}
	return s.content(name)
}

// RemoveNamespace is the last step: it removes a terminating namespace if it is empty, and
// reports whether it did.
func (s *Server) RemoveNamespace(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := Key{Kind: KindNamespace, Name: name}
	old := s.objects[key]
	if old == nil || old.GetDeletionTimestamp() == nil || len(old.GetFinalizers()) > 0 || len(s.content(name)) > 0 {
		return false
	}
	s.remove(key)
	return true
}

func (s *Server) content(namespace string) []Key {
	return s.keys(func(key Key) bool { return key.Namespace == namespace && namespace != "" })
}

// garbage is an object with missing owners, and the owners that still exist.
type garbage struct {
	key    Key
	obj    client.Object
	owners []metav1.OwnerReference
}

// CollectGarbage does what the garbage collector does for these objects, or for all if
// none are given: it deletes an object whose owners are all gone, and removes missing
// owners from the other objects. It returns the objects it changed. Objects that lose
// their last owner in this call are left to the next one.
func (s *Server) CollectGarbage(keys ...Key) []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(keys) == 0 {
		keys = s.keys(func(Key) bool { return true })
	}
	var changed []Key
	for _, g := range s.findGarbage(keys) {
		k := shared().kinds[g.key.Kind]
		if len(g.owners) == 0 {
			s.discard(k, g.key, g.obj)
		} else {
			kept := k.shallow(g.obj)
			kept.SetOwnerReferences(g.owners)
			s.store(g.key, kept)
		}
		changed = append(changed, g.key)
	}
	return changed
}

func (s *Server) findGarbage(keys []Key) []garbage {
	var found []garbage
	for _, key := range keys {
		obj := s.objects[key]
		if obj == nil {
			continue
		}
		owners := slices.DeleteFunc(slices.Clone(obj.GetOwnerReferences()), func(ref metav1.OwnerReference) bool {
			return !s.ownerExists(key.Namespace, ref)
		})
		lost := len(owners) < len(obj.GetOwnerReferences())
		marked := len(owners) == 0 && obj.GetDeletionTimestamp() != nil
		if lost && !marked {
			found = append(found, garbage{key, obj, owners})
		}
	}
	return found
}

// ownerExists looks up an owner by its name and compares the UID. Like the garbage collector,
// it treats an owner of an unknown kind as existing.
func (s *Server) ownerExists(namespace string, ref metav1.OwnerReference) bool {
	k := shared().kinds[ref.Kind]
	if k == nil || k.gvk.GroupVersion().String() != ref.APIVersion {
		return true
	}
	owner := s.objects[k.key(namespace, ref.Name)]
	return owner != nil && owner.GetUID() == ref.UID
}
