package pods

import (
	"crypto/rand"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/credname"
)

// A container has the current key if it waited for its Secret, or started after the Secret was created
// and the Secret has held only one credential.
func TestRestartIsAskedOfPodsWithAnOldKeyOnly(t *testing.T) {
	at := func(seconds int64) *metav1.Time { return &metav1.Time{Time: time.Unix(seconds, 0)} }
	running := func(seconds int64) corev1.ContainerState {
		return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: *at(seconds)}}
	}
	waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CreateContainerConfigError"}}
	// The Secret was created at 100. Its credential was issued at 90 if it is the first, else at 200.
	cases := map[string]struct {
		revision int64
		uses     string
		state    corev1.ContainerState
		want     bool
	}{
		"first credential, waits for its Secret":       {1, "training", waiting, false},
		"first credential, started with the Secret":    {1, "training", running(100), false},
		"first credential, started long after":         {1, "training", running(500), false},
		"first credential, started without the Secret": {1, "training", running(50), true},
		"first credential, started during its attempt": {1, "training", running(95), true}, // with an optional reference
		"rotated, started before":                      {2, "training", running(150), true},
		"rotated, started after":                       {2, "training", running(201), false},
		"rotated, waits":                               {2, "training", waiting, false},
		"rotated, another Secret":                      {2, "other", running(150), false},
	}
	for name, c := range cases {
		issued := at(90)
		if c.revision > 1 {
			issued = at(200)
		}
		credential, err := credname.New(credname.Cluster("c"), credname.Owner("ml", "training"), c.revision, 63, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		token := &v1alpha1.ApiToken{Status: v1alpha1.ApiTokenStatus{Credentials: []v1alpha1.LedgerEntry{{Name: credential.String(), State: v1alpha1.StateActive, IssuedAt: issued}}}}
		pod := &corev1.Pod{
			Spec: corev1.PodSpec{Containers: []corev1.Container{
				{Name: "sidecar"},
				{Name: "main", EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: c.uses}}}}},
			}},
			Status: corev1.PodStatus{StartTime: at(10), ContainerStatuses: []corev1.ContainerStatus{{Name: "sidecar", State: running(11)}, {Name: "main", State: c.state}}},
		}
		pods := []Pod{{readAt: readAt(pod, "training")}}
		MarkOutdated(pods, PublishedAt(token, "", at(100)))
		if pods[0].Outdated != c.want {
			t.Errorf("%s: a restart is asked for: %t", name, pods[0].Outdated)
		}
	}
}
