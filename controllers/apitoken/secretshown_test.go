package apitoken

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/secretstore"
	"apitoken.dev/operator/internal/trim"
	"apitoken.dev/operator/test/support/apifake"
	"apitoken.dev/operator/test/support/testutil"
)

// unshown is a client whose cache has no Secret. Patch returns version 10.
type unshown struct{ client.Client }

// Patch implements client.Writer.
func (unshown) Patch(_ context.Context, o client.Object, _ client.Patch, _ ...client.PatchOption) error {
	o.SetResourceVersion("10")
	return nil
}

// A Secret that leaves the cache at the version of the operator's last write, or later, does not
// exist. If the cache showed an older version only, the write is still pending.
func TestSecretThatLeftTheCacheAfterItsLastWriteIsGone(t *testing.T) {
	for version, gone := range map[string]bool{"9": false, "10": true, "11": true} {
		clock := testutil.NewClock(time.Unix(0, 0))
		c := unshown{apifake.NewServer(clock.Now).Client(nil)}
		r := New(Options{Client: c, Live: c, Clock: clock})
		target := secretstore.Target{Token: &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "training"}}}
		if err := r.secrets.Fence(t.Context(), target, secretstore.Snapshot{}, "own-new"); err != nil {
			t.Fatal(err)
		}
		shown := trim.Metadata("Secret")
		shown.Namespace, shown.Name, shown.ResourceVersion = "ml", "training", version
		r.ofSecret(t.Context(), shown)
		seen, pending, err := r.secrets.Cached(t.Context(), target)
		if err != nil || pending == gone || seen.View.Exists == gone {
			t.Errorf("version %s was shown, and then none: exists %t, pending %t, %v", version, seen.View.Exists, pending, err)
		}
	}
}
