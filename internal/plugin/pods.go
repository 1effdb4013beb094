package plugin

import (
	"cmp"
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The ways in which a pod uses a Secret.
const (
	wayEnv     = "env"
	wayEnvFrom = "envFrom"
	wayVolume  = "volume"
)

// podView is a pod that uses a Secret.
type podView struct {
	Name      string          `json:"name"`
	Phase     corev1.PodPhase `json:"phase,omitempty"`
	Ways      []string        `json:"ways"`
	StartedAt *metav1.Time    `json:"startedAt,omitempty"`
	// Outdated: it read the Secret through its environment before the current
	// credential was published, and holds the previous one until it restarts.
	Outdated bool `json:"outdated,omitempty"`
}

// podsUsing lists the pods of the namespace that use a Secret and have not ended.
func (s *session) podsUsing(ctx context.Context, secret string) ([]podView, error) {
	var out []podView
	next := ""
	for {
		var page corev1.PodList
		if err := s.client.List(ctx, &page, client.InNamespace(s.namespace), client.Limit(chunk), client.Continue(next)); err != nil {
			return nil, err
		}
		for i := range page.Items {
			p := &page.Items[i]
			ended := p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
			if ways := waysOf(&p.Spec, secret); len(ways) > 0 && !ended {
				out = append(out, podView{Name: p.Name, Phase: p.Status.Phase, Ways: ways, StartedAt: p.Status.StartTime})
			}
		}
		if next = page.Continue; next == "" {
			slices.SortFunc(out, func(a, b podView) int { return cmp.Compare(a.Name, b.Name) })
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

// markOutdated marks the pods that still hold the credential before the current one.
func markOutdated(pods []podView, issued *metav1.Time) {
	for i := range pods {
		p := &pods[i]
		fromEnvironment := slices.Contains(p.Ways, wayEnv) || slices.Contains(p.Ways, wayEnvFrom)
		p.Outdated = fromEnvironment && issued != nil && p.StartedAt != nil && p.StartedAt.Before(issued)
	}
}
