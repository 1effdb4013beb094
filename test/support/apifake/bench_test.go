package apifake_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

// benchToken is as large as an ApiToken gets at work.
func benchToken() *v1alpha1.ApiToken {
	token := &v1alpha1.ApiToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a", Finalizers: []string{v1alpha1.Finalizer}, Labels: map[string]string{"team": "ml"}},
		Spec: v1alpha1.ApiTokenSpec{
			ProviderRef: v1alpha1.ProviderReference{Name: "store"},
			Scopes:      []v1alpha1.Scope{"objectstorage:object-read-only"},
			Buckets:     []v1alpha1.Bucket{"b1"},
		},
	}
	for i := range 3 {
		token.Status.Conditions = append(token.Status.Conditions, metav1.Condition{
			Type: fmt.Sprintf("Type%d", i), Status: metav1.ConditionTrue, Reason: "Ready", LastTransitionTime: moment, Message: "a sentence",
		})
		token.Status.Credentials = append(token.Status.Credentials, v1alpha1.LedgerEntry{
			Name: fmt.Sprintf("entry-%d", i), State: v1alpha1.StateActive, ReservedAt: &moment, IssuedAt: &moment, ExpiresAt: &moment,
		})
	}
	return token
}

func benchServer(b *testing.B) (client.Client, *v1alpha1.ApiToken) {
	b.Helper()
	c := newServer().Client(nil)
	token := benchToken()
	status := token.Status
	for _, obj := range []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}}, token} {
		if err := c.Create(b.Context(), obj); err != nil {
			b.Fatal(err)
		}
	}
	token.Status = status
	if err := c.Status().Update(b.Context(), token); err != nil {
		b.Fatal(err)
	}
	return c, token
}

// BenchmarkGetStatusUpdate is the pair of requests that a schedule consists of.
func BenchmarkGetStatusUpdate(b *testing.B) {
	c, token := benchServer(b)
	b.ReportAllocs()
	for b.Loop() {
		var got v1alpha1.ApiToken
		if err := c.Get(b.Context(), client.ObjectKeyFromObject(token), &got); err != nil {
			b.Fatal(err)
		}
		got.Status.Revision++
		if err := c.Status().Update(b.Context(), &got); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
}

// BenchmarkGetUpdate changes the spec.
func BenchmarkGetUpdate(b *testing.B) {
	c, token := benchServer(b)
	b.ReportAllocs()
	for b.Loop() {
		var got v1alpha1.ApiToken
		if err := c.Get(b.Context(), client.ObjectKeyFromObject(token), &got); err != nil {
			b.Fatal(err)
		}
		got.Spec.Rotation.Generation++
		if err := c.Update(b.Context(), &got); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
}

// BenchmarkPatch sets a finalizer and takes it away.
func BenchmarkPatch(b *testing.B) {
	c, token := benchServer(b)
	b.ReportAllocs()
	for b.Loop() {
		base := token.DeepCopy()
		token.Annotations = map[string]string{"a": token.ResourceVersion}
		if err := c.Patch(b.Context(), token, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})); err != nil {
			b.Fatal(err)
		}
	}
}
