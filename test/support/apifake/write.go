package apifake

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const optimisticLockMessage = "the object has been modified; please apply your changes to the latest version and try again"

// prepare returns a copy of a client's object in the form in which it is stored.
func (k *kind) prepare(sent client.Object, status bool) client.Object {
	if status {
		return k.ownStatus(sent)
	}
	obj := k.blank()
	k.copyInto(sent, obj)
	if k.custom {
		k.setStatus(obj, k.blank())
	}
	k.defaults(obj)
	k.tidy(obj)
	obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{}) // as a client reads it
	return obj
}

// create stores a prepared object.
func (s *Server) create(k *kind, obj client.Object, dryRun bool) (client.Object, error) {
	key := k.key(obj.GetNamespace(), obj.GetName())
	if err := s.admitCreate(k, key); err != nil {
		return nil, err
	}
	if key.Name == "" {
		required := field.Required(field.NewPath("metadata", "name"), "name or generateName is required")
		return nil, apierrors.NewInvalid(k.gvk.GroupKind(), "", field.ErrorList{required})
	}
	if obj.GetResourceVersion() != "" {
		return nil, errVersionOnCreate()
	}
	if s.objects[key] != nil {
		return nil, apierrors.NewAlreadyExists(k.resource, key.Name)
	}
	obj.SetNamespace(key.Namespace)
	obj.SetCreationTimestamp(s.timestamp())
	obj.SetDeletionTimestamp(nil)
	obj.SetDeletionGracePeriodSeconds(nil)
	if k.custom {
		obj.SetGeneration(1)
	}
	obj.SetUID(s.newUID())
	if !dryRun {
		s.store(key, obj)
	}
	return obj, nil
}

// errVersionOnCreate has no reason, like the error of the real server.
func errVersionOnCreate() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusInternalServerError,
		Message: "resourceVersion should not be set on objects to be created",
	}}
}

// admitCreate does what the NamespaceLifecycle admission of the real server does.
func (s *Server) admitCreate(k *kind, key Key) error {
	if !k.namespaced {
		return nil
	}
	stored := s.objects[Key{Kind: KindNamespace, Name: key.Namespace}]
	if stored == nil {
		return apierrors.NewNotFound(shared().kinds[KindNamespace].resource, key.Namespace)
	}
	if ns := stored.(*corev1.Namespace); ns.Status.Phase != corev1.NamespaceTerminating {
		return nil
	}
	refused := apierrors.NewForbidden(k.resource, key.Name,
		fmt.Errorf("unable to create new content in namespace %s because it is being terminated", key.Namespace))
	refused.ErrStatus.Details.Causes = append(refused.ErrStatus.Details.Causes, terminatingCause(key.Namespace))
	return refused
}

func terminatingCause(namespace string) metav1.StatusCause {
	return metav1.StatusCause{
		Type:    corev1.NamespaceTerminatingCause,
		Message: fmt.Sprintf("namespace %s is being terminated", namespace),
		Field:   "metadata.namespace",
	}
}

// change is an update or a patch in progress.
type change struct {
	kind *kind
	obj  client.Object
	// status: it changes only the status.
	status bool
	// patch: obj was made from the stored object, so its UID is not a precondition.
	patch  bool
	dryRun bool
	// nothingNew: the stored object is equal already.
	nothingNew bool
}

// update stores a prepared object in place of the one it was made from.
func (s *Server) update(c change) (client.Object, error) {
	k, obj := c.kind, c.obj
	key := k.key(obj.GetNamespace(), obj.GetName())
	old := s.objects[key]
	if old == nil {
		return nil, apierrors.NewNotFound(k.resource, key.Name)
	}
	if err := checkVersion(c, old); err != nil {
		return nil, err
	}
	if c.status {
		if errs := invalidStatus(obj); len(errs) > 0 {
			return nil, apierrors.NewInvalid(k.gvk.GroupKind(), key.Name, errs)
		}
		return s.commitStatus(c, key, old), nil
	}
	keepSystemMeta(obj, old)
	same := k.sameBody(obj, old)
	if k.custom {
		k.setStatus(obj, old)
		if !same {
			obj.SetGeneration(old.GetGeneration() + 1)
		}
	}
	if errs := invalidChange(obj, old); len(errs) > 0 {
		return nil, apierrors.NewInvalid(k.gvk.GroupKind(), key.Name, errs)
	}
	c.nothingNew = same && sameMeta(obj, old)
	return s.commit(c, key, old), nil
}

// checkVersion checks the UID and the resourceVersion that a client sent.
func checkVersion(c change, old client.Object) error {
	if uid := c.obj.GetUID(); !c.patch && uid != "" && uid != old.GetUID() {
		return apierrors.NewConflict(c.kind.resource, old.GetName(),
			fmt.Errorf("precondition failed: the UID is %s, not %s", old.GetUID(), uid))
	}
	switch version := c.obj.GetResourceVersion(); {
	case version == "" && c.kind.custom:
		missing := field.Invalid(field.NewPath("metadata", "resourceVersion"), 0, "must be specified for an update")
		return apierrors.NewInvalid(c.kind.gvk.GroupKind(), old.GetName(), field.ErrorList{missing})
	case version == "": // no precondition
	case version != old.GetResourceVersion():
		return apierrors.NewConflict(c.kind.resource, old.GetName(), errors.New(optimisticLockMessage))
	}
	return nil
}

// keepSystemMeta restores the fields that an update cannot change and can omit.
func keepSystemMeta(obj, old client.Object) {
	obj.SetNamespace(old.GetNamespace())
	obj.SetGeneration(old.GetGeneration())
	if obj.GetUID() == "" {
		obj.SetUID(old.GetUID())
	}
	obj.SetCreationTimestamp(old.GetCreationTimestamp())
	if deleted := old.GetDeletionTimestamp(); deleted != nil {
		obj.SetDeletionTimestamp(deleted)
	}
	if grace := old.GetDeletionGracePeriodSeconds(); grace != nil && obj.GetDeletionGracePeriodSeconds() == nil {
		obj.SetDeletionGracePeriodSeconds(grace)
	}
}

// commit stores a checked object if it differs from the stored one, and removes it if its
// last finalizer was removed.
func (s *Server) commit(c change, key Key, old client.Object) client.Object {
	switch {
	case c.dryRun:
	case old.GetDeletionTimestamp() != nil && len(c.obj.GetFinalizers()) == 0 && key.Kind != KindNamespace:
		s.remove(key)
	case c.nothingNew:
		return old
	default:
		s.store(key, c.obj)
	}
	return c.obj
}

func (s *Server) commitStatus(c change, key Key, old client.Object) client.Object {
	if c.kind.sameStatus(c.obj, old) {
		return old
	}
	updated := c.kind.shallow(old)
	c.kind.setStatus(updated, c.obj)
	if !c.dryRun {
		s.store(key, updated)
	}
	return updated
}

// sameMeta compares the metadata that an update can change.
func sameMeta(a, b client.Object) bool {
	return maps.Equal(a.GetLabels(), b.GetLabels()) &&
		maps.Equal(a.GetAnnotations(), b.GetAnnotations()) &&
		slices.Equal(a.GetFinalizers(), b.GetFinalizers()) &&
		a.GetGenerateName() == b.GetGenerateName() &&
		reflect.DeepEqual(a.GetOwnerReferences(), b.GetOwnerReferences())
}
