package apitoken

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/secretstore"
	"apitoken.dev/operator/test/support/apifake"
	"apitoken.dev/operator/test/support/testutil"
)

// A log line or a panic can print a reconciliation. fmt calls no methods of unexported fields.
func TestPrintedReconciliationHidesSecrets(t *testing.T) {
	const secret = "CANARY-of-a-pass"
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	server := apifake.NewServer(func() time.Time { return now })
	c := server.Client(nil)
	token := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "training"}}
	for _, o := range []any{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ml"}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "training"}, Data: map[string][]byte{"key": []byte(secret)}},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "training-handover", Labels: map[string]string{v1alpha1.LabelManaged: v1alpha1.ManagedHandover}},
			Data:       map[string][]byte{"key": []byte(secret)},
		},
	} {
		create(t, c, o)
	}
	store := &secretstore.Store{Client: c, Live: c, Cluster: "c", Clock: testutil.NewClock(now)}
	seen, err := store.Read(t.Context(), secretstore.Target{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	handed, found, err := store.Handover(t.Context(), secretstore.Target{Token: token})
	if err != nil || !found {
		t.Fatalf("nothing is handed over: %v", err)
	}
	p := &reconciliation{token: token, seen: seen}
	attempt := &Attempt{p: p, submitted: handed, minted: provider.Minted{
		Secret: map[string]provider.Value{"key": provider.NewValue(secret)},
	}}
	for _, v := range []any{p, *p, attempt, *attempt, []any{*p, *attempt}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, "CANARY") || strings.Contains(text, fmt.Sprintf("%x", "CANARY")) {
				t.Errorf("%s of %T prints a secret value", verb, v)
			}
		}
	}
}

func create(t *testing.T, c *apifake.Client, o any) {
	t.Helper()
	var err error
	switch o := o.(type) {
	case *corev1.Namespace:
		err = c.Create(t.Context(), o)
	case *corev1.Secret:
		err = c.Create(t.Context(), o)
	}
	if err != nil {
		t.Fatal(err)
	}
}
