// Package installation finds the operator in a cluster: its Deployment, its Lease and its
// namespace.
package installation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/reading"
	"apitoken.dev/operator/internal/cli/session"
)

// The operator's name in its Deployment's labels and its lease, and its namespace.
// They are repeated here so that the plugin does not carry the whole operator.
const (
	Name             = "apitoken-operator"
	DefaultNamespace = "apitoken-system"
)

const (
	// SkewWarn is how far the clocks may be apart. The Date header counts in seconds.
	SkewWarn = 10 * time.Second
	// LeaseSlack is how long after its end a Lease is treated as abandoned.
	LeaseSlack = 30 * time.Second
)

// FailedReads are reads that failed. What they would have shown is unknown.
type FailedReads []FailedRead

// FailedRead is the right that a read needs, and why it failed.
type FailedRead struct {
	Access hint.Access
	Err    error
}

// String says why, each reason once.
func (u FailedReads) String() string {
	var out []string
	for _, one := range u {
		if text := hint.Unreadable(one.Access, one.Err); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, ", ")
}

// ToRead says what to do about them, each action once.
func (u FailedReads) ToRead(h hint.Hints) string {
	var out []string
	for _, one := range u {
		if text := h.ToRead(one.Access, one.Err); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, "\n")
}

// Sighting is the result of one or more reads: found, absent, or failed.
type Sighting struct {
	Seen   bool
	Failed FailedReads
}

// addRead adds the result of a read.
func addRead[T any](s *Sighting, r reading.Of[T], a hint.Access) {
	r.Switch(func(T) { s.Seen = true }, func() {}, func(err error) { s.Failed = append(s.Failed, FailedRead{Access: a, Err: err}) })
}

// Working looks for a working operator in a namespace: its Lease is renewed, or its
// Deployment is available.
func Working(ctx context.Context, s *session.Session, namespace string) Sighting {
	var out Sighting
	renewed := func(l *coordinationv1.Lease) bool { return leaseRenewed(l, s.Clock.Now()) }
	addRead(&out, Lease(ctx, s, namespace).Where(renewed), LeaseAccess(namespace))
	addRead(&out, Deployments(ctx, s, namespace).Where(anyAvailable), DeploymentAccess(namespace))
	return out
}

// Lease reads the operator's Lease.
func Lease(ctx context.Context, s *session.Session, namespace string) reading.Of[*coordinationv1.Lease] {
	lease := &coordinationv1.Lease{}
	return reading.Object(lease, s.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: Name}, lease))
}

// LeaseAccess is the right that leaseOf needs.
func LeaseAccess(namespace string) hint.Access {
	return hint.Access{Verb: "get", Group: coordinationv1.GroupName, Resource: "leases", Namespace: namespace}
}

// Deployments lists the operator's Deployments.
func Deployments(ctx context.Context, s *session.Session, namespace string) reading.Of[[]appsv1.Deployment] {
	var list appsv1.DeploymentList
	err := s.Client.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabels{"app.kubernetes.io/name": Name})
	return reading.List(list.Items, err)
}

// DeploymentAccess is the right that deployments needs.
func DeploymentAccess(namespace string) hint.Access {
	return hint.Access{Verb: "list", Group: appsv1.GroupName, Resource: "deployments", Namespace: namespace}
}

// leaseRenewed reports whether the holder of a Lease renewed it in time.
func leaseRenewed(lease *coordinationv1.Lease, now time.Time) bool {
	s := &lease.Spec
	if s.HolderIdentity == nil || *s.HolderIdentity == "" || s.RenewTime == nil {
		return false
	}
	term := LeaseSlack
	if s.LeaseDurationSeconds != nil {
		term += time.Duration(*s.LeaseDurationSeconds) * time.Second
	}
	return now.Sub(s.RenewTime.Time) <= term
}

func anyAvailable(found []appsv1.Deployment) bool {
	return slices.ContainsFunc(found, func(d appsv1.Deployment) bool { return d.DeletionTimestamp.IsZero() && d.Status.AvailableReplicas > 0 })
}

// BeingDeleted reports whether an object has a deletion timestamp.
func BeingDeleted(m *metav1.PartialObjectMetadata) bool { return !m.DeletionTimestamp.IsZero() }

// NamespaceEnding looks whether the operator's namespace is being deleted.
func NamespaceEnding(ctx context.Context, s *session.Session, namespace string) Sighting {
	var out Sighting
	addRead(&out, s.Metadata(ctx, corev1.SchemeGroupVersion.WithKind("Namespace"), client.ObjectKey{Name: namespace}).Where(BeingDeleted),
		hint.Access{Verb: "get", Resource: "namespaces", Namespace: namespace})
	return out
}

// WarnWhenGone says on stderr that the conditions which a command shows are out of
// date: the operator's namespace is being deleted, or its Lease is no longer renewed. It
// says nothing when it could not read: doctor does.
func WarnWhenGone(ctx context.Context, s *session.Session) {
	why := ""
	if NamespaceEnding(ctx, s, DefaultNamespace).Seen {
		why = fmt.Sprintf("the operator's namespace %s is being deleted and no operator works", DefaultNamespace)
	} else {
		Lease(ctx, s, DefaultNamespace).Switch(func(*coordinationv1.Lease) {
			why = "no operator renews its Lease in namespace " + DefaultNamespace
		}, func() {}, func(error) {})
	}
	if why == "" {
		return
	}
	if works := Working(ctx, s, DefaultNamespace); !works.Seen && len(works.Failed) == 0 {
		s.Say("warning: %s: what is shown may be out of date. To see more: %s", why, s.PluginCommand("", "doctor", "-A"))
	}
}
