// Package pods finds the pods that use a Secret, and those that hold an old credential.
package pods

import (
	"cmp"
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/reading"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/ledger"
)

// The ways in which a pod uses a Secret.
const (
	wayEnv     = "env"
	wayEnvFrom = "envFrom"
	wayVolume  = "volume"
)

// Pod is a pod that uses a Secret.
type Pod struct {
	Name      string          `json:"name"`
	Phase     corev1.PodPhase `json:"phase,omitempty"`
	Ways      []string        `json:"ways"`
	StartedAt *metav1.Time    `json:"startedAt,omitempty"`
	// readAt is when the first of its running containers started that read the Secret
	// through their environment; nil: none is running.
	readAt *metav1.Time
	// Outdated: one of them did before the current credential was published, and does not
	// hold it until it restarts.
	Outdated bool `json:"outdated,omitempty"`
}

// Using lists the pods of the namespace that use a Secret and have not ended.
func Using(ctx context.Context, s *session.Session, secret string) reading.Of[[]Pod] {
	return reading.List(list(ctx, s, secret))
}

// Access is the right that podsUsing needs.
func Access(s *session.Session) hint.Access {
	return hint.Access{Verb: "list", Resource: "pods", Namespace: s.Namespace}
}

// SayUsers says on stderr which pods use a Secret, and what happens to them.
func SayUsers(ctx context.Context, s *session.Session, secret, what string) {
	Using(ctx, s, secret).Switch(func(users []Pod) {
		for _, u := range users {
			s.Say("  pod %s uses the Secret (%s)%s", u.Name, strings.Join(u.Ways, ", "), what)
		}
	}, func() {
		s.Say("  no pod of the namespace uses the Secret")
	}, func(err error) {
		s.Say("  whether pods use the Secret is unknown: %s. %s", hint.Unreadable(Access(s), err), s.ToRead(Access(s), err))
	})
}

func list(ctx context.Context, s *session.Session, secret string) ([]Pod, error) {
	var out []Pod
	next := ""
	for {
		var page corev1.PodList
		if err := s.Client.List(ctx, &page, client.InNamespace(s.Namespace), client.Limit(session.Chunk), client.Continue(next)); err != nil {
			return nil, err
		}
		for i := range page.Items {
			p := &page.Items[i]
			ended := p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
			if ways := waysOf(&p.Spec, secret); len(ways) > 0 && !ended {
				out = append(out, Pod{Name: p.Name, Phase: p.Status.Phase, Ways: ways, StartedAt: p.Status.StartTime, readAt: readAt(p, secret)})
			}
		}
		if next = page.Continue; next == "" {
			slices.SortFunc(out, func(a, b Pod) int { return cmp.Compare(a.Name, b.Name) })
			return out, nil
		}
	}
}

// waysOf lists in which ways a pod uses a Secret.
func waysOf(spec *corev1.PodSpec, secret string) []string {
	found := map[string]bool{}
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			environment(list[i].Env, list[i].EnvFrom, secret, found)
		}
	}
	for i := range spec.EphemeralContainers {
		environment(spec.EphemeralContainers[i].Env, spec.EphemeralContainers[i].EnvFrom, secret, found)
	}
	for i := range spec.Volumes {
		if mounts(&spec.Volumes[i], secret) {
			found[wayVolume] = true
		}
	}
	var out []string
	for _, way := range []string{wayEnv, wayEnvFrom, wayVolume} {
		if found[way] {
			out = append(out, way)
		}
	}
	return out
}

func environment(env []corev1.EnvVar, from []corev1.EnvFromSource, secret string, found map[string]bool) {
	for _, e := range env {
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && e.ValueFrom.SecretKeyRef.Name == secret {
			found[wayEnv] = true
		}
	}
	for _, f := range from {
		if f.SecretRef != nil && f.SecretRef.Name == secret {
			found[wayEnvFrom] = true
		}
	}
}

func mounts(v *corev1.Volume, secret string) bool {
	if v.Secret != nil && v.Secret.SecretName == secret {
		return true
	}
	if v.Projected == nil {
		return false
	}
	return slices.ContainsFunc(v.Projected.Sources, func(p corev1.VolumeProjection) bool {
		return p.Secret != nil && p.Secret.Name == secret
	})
}

// readAt is when the first of the running containers started that have a Secret in their
// environment; nil: none is running. A container that waits for its Secret has read nothing,
// however old its pod is.
func readAt(p *corev1.Pod, secret string) *metav1.Time {
	reads := map[string]bool{}
	note := func(name string, env []corev1.EnvVar, from []corev1.EnvFromSource) {
		found := map[string]bool{}
		environment(env, from, secret, found)
		reads[name] = len(found) > 0
	}
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			note(list[i].Name, list[i].Env, list[i].EnvFrom)
		}
	}
	for i := range p.Spec.EphemeralContainers {
		c := &p.Spec.EphemeralContainers[i]
		note(c.Name, c.Env, c.EnvFrom)
	}
	var first *metav1.Time
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses, p.Status.EphemeralContainerStatuses} {
		for i := range list {
			running := list[i].State.Running
			if reads[list[i].Name] && running != nil && (first == nil || running.StartedAt.Before(first)) {
				first = &running.StartedAt
			}
		}
	}
	return first
}

// PublishedAt is a time after which a container that starts reads the current credential;
// nil: no credential is in use, or its time is unknown. Before the first credential of an ApiToken
// there was nothing to read: a container that started after the Secret was made holds it.
func PublishedAt(t *v1alpha1.ApiToken, held string, secretCreated *metav1.Time) *metav1.Time {
	e := ledger.Active(&t.Status, held)
	if e == nil {
		return nil
	}
	if name, err := credname.Parse(e.Name); err == nil && name.Revision == 1 {
		return secretCreated
	}
	return e.IssuedAt
}

// MarkOutdated marks the pods that read the Secret before the current credential was in it.
func MarkOutdated(pods []Pod, published *metav1.Time) {
	for i := range pods {
		p := &pods[i]
		p.Outdated = published != nil && p.readAt != nil && p.readAt.Before(published)
	}
}
