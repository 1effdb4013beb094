package commands

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/drain"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/simulate/kloudbeansim"
)

// story describes the environment of a page's commands.
type story struct {
	// begin creates what the page expects to exist.
	begin func(*world)
	// hooks run in this order.
	hooks []hook
}

// hook runs before the next command that contains this text. It returns values for the placeholders
// in that command.
type hook struct {
	before string
	do     func(*world) map[string]string
}

// stories are the pages that need more than a namespace, a provider and an ApiToken.
var stories = map[string]story{
	"README.md": {begin: readme},
	"docs/getting-started.md": {begin: func(w *world) {
		// The page's own command asks the store for these keys.
		w.sh("kubectl -n apitoken-system create secret generic object-store-minter --from-literal=AWS_ACCESS_KEY_ID=x --from-literal=AWS_SECRET_ACCESS_KEY=y")
	}},
	"docs/install.md": {begin: func(w *world) {
		w.OK(os.Symlink(w.server.root, filepath.Join(w.dir, "base"))) // a clone next to the overlay
		w.sh("kubectl kustomize config/namespace > namespace.yaml; kubectl kustomize config/crd > crds.yaml; kubectl kustomize config/default > install.yaml")
		w.admit()
	}},
	"docs/tasks/air-gapped.md": {begin: func(w *world) {
		w.declare()
		w.files(map[string]string{"ca.crt": certificate(w)})
	}},
	"docs/tasks/manual-credentials.md": {begin: (*world).admit, hooks: []hook{
		{"kubectl apply -f - <<EOF", func(w *world) map[string]string {
			return map[string]string{"https://s3.kloudbean.com": w.panelAt}
		}},
		{"cat > key.env", makeKey},
		{"kubectl -n ml wait apitoken/reports --for=delete", deleteKeys},
	}},
	"docs/tasks/compromised.md": {begin: rotated, hooks: []hook{
		{"KEY=AKIA...", leaked},
		{"RevokeFirst", func(w *world) map[string]string {
			w.alive(0)
			w.declare()
			return nil
		}},
	}},
	"docs/tasks/restore-from-backup.md": {begin: (*world).declare, hooks: []hook{
		{"kubectl -n apitoken-system scale deployment", disaster},
		{"kubectl -n ml get apitoken training-data", func(w *world) map[string]string {
			w.alive(1) // the previous one
			return nil
		}},
	}},
	"docs/tasks/multi-cluster.md": {begin: (*world).declare, hooks: []hook{
		{"kubectl apply --server-side -f declarations.restore.yaml", func(w *world) map[string]string {
			w.alive(1) // the original's
			return nil
		}},
	}},
	"docs/tasks/uninstall.md": {begin: (*world).declare, hooks: []hook{
		{"kubectl delete tokenproviders", func(w *world) map[string]string {
			w.alive(0)
			return nil
		}},
		{"kubectl wait namespace/apitoken-system", drained},
	}},
}

// ofGeneration waits until the credential in use was issued for a rotation generation.
func (w *world) ofGeneration(want int64) {
	w.Helper()
	w.Eventually(func() error {
		token := &v1alpha1.ApiToken{}
		w.OK(w.Get(w.Context(), client.ObjectKey{Namespace: "ml", Name: "training-data"}, token))
		for _, e := range token.Status.Credentials {
			if e.State == v1alpha1.StateActive && e.RotationGeneration == want {
				return nil
			}
		}
		return fmt.Errorf("no credential of generation %d is in use: %+v", want, token.Status.Credentials)
	})
}

// rotated creates an ApiToken that was rotated once, and has a previous key.
func rotated(w *world) {
	w.declare()
	w.sh(`kubectl -n ml patch apitoken training-data --type=merge -p '{"spec":{"rotation":{"generation":1}}}'
kubectl -n ml wait apitoken/training-data --for=condition=Ready --timeout=1m`)
}

// leaked returns the newest previous key.
func leaked(w *world) map[string]string {
	w.ofGeneration(2)
	token := &v1alpha1.ApiToken{}
	w.OK(w.Get(w.Context(), client.ObjectKey{Namespace: "ml", Name: "training-data"}, token))
	var previous []string
	for i := range token.Status.Credentials {
		if e := &token.Status.Credentials[i]; e.State == v1alpha1.StateRetiring {
			previous = append(previous, e.ID)
		}
	}
	if len(previous) < 2 {
		w.Fatalf("the page replaced no key: %+v", token.Status.Credentials)
	}
	return map[string]string{"AKIA...": previous[len(previous)-1]}
}

// readme creates the objects that the README mentions.
func readme(w *world) {
	w.admit()
	w.sh(`kubectl -n apitoken-system create secret generic object-store-minter --from-literal=AWS_ACCESS_KEY_ID=x --from-literal=AWS_SECRET_ACCESS_KEY=y
kubectl apply -f - <<EOF
apiVersion: apitoken.dev/v1alpha1
kind: ApiToken
metadata: {name: reports, namespace: default}
spec:
  providerRef: {kind: ClusterTokenProvider, name: object-store}
  scopes: [objectstorage:object-read-only]
  buckets: [reports]
EOF`)
}

// alive waits until this many credentials are live at the provider.
func (w *world) alive(want int) {
	w.Helper()
	w.Eventually(func() error {
		if got := len(w.backend.LiveNames()); got != want {
			return fmt.Errorf("%d credentials are live, want %d", got, want)
		}
		return nil
	})
}

// drained deletes the namespace while a credential is live, and runs the drain of the page.
func drained(w *world) map[string]string {
	w.install()
	w.declare()
	w.alive(1)
	w.stop()
	w.stop, w.running = func() {}, ""
	w.sh("kubectl delete namespace apitoken-system --wait=false")
	var said strings.Builder
	o := operator.Options{Registry: w.drivers(), Namespace: operator.DefaultNamespace}
	if err := drain.Run(w.Context(), w.server.env.Config, drain.Options{Operator: o, DeleteAll: true, Progress: &said}); err != nil {
		w.Fatalf("%v\n%s", err, &said)
	}
	w.alive(0)
	return nil
}

// disaster deletes all objects without a revocation, and starts a cluster with another identity.
func disaster(w *world) map[string]string {
	w.stop()
	w.stop, w.running = func() {}, ""
	w.vanish()
	w.alive(1)
	w.identity = "the-new-cluster"
	return nil
}

// makeKey creates the key that the ApiToken asks for, in the panel.
func makeKey(w *world) map[string]string {
	token := &v1alpha1.ApiToken{}
	w.OK(w.Get(w.Context(), client.ObjectKey{Namespace: "ml", Name: "reports"}, token))
	asked := meta.FindStatusCondition(token.Status.Conditions, v1alpha1.ConditionActionRequired)
	if asked == nil || asked.Status != metav1.ConditionTrue {
		w.Fatalf("nothing is asked for: %+v", token.Status.Conditions)
	}
	_, values, _ := strings.Cut(asked.Message, ") with: ")
	values, _, _ = strings.Cut(values, ". Then put ")
	var fields []provider.FormField
	for part := range strings.SplitSeq(values, "; ") {
		label, value, _ := strings.Cut(part, ": ")
		fields = append(fields, provider.FormField{Label: label, Value: value})
	}
	form, err := kloudbeansim.ReadForm(fields)
	w.OK(err)
	details, err := w.panel.AddToken(w.Context(), form)
	w.OK(err)
	return map[string]string{
		"AWS_ACCESS_KEY_ID=...":     "AWS_ACCESS_KEY_ID=" + details.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=...": "AWS_SECRET_ACCESS_KEY=" + details.SecretAccessKey.Reveal(), //nolint:forbidigo // a user copies what the panel shows
	}
}

// deleteKeys deletes the keys in the panel, and triggers a reconcile, which would otherwise follow
// within a minute.
func deleteKeys(w *world) map[string]string {
	for _, token := range w.panel.Tokens() {
		w.OK(w.panel.Delete(w.Context(), token.AccessKeyID))
	}
	w.sh("kubectl -n ml annotate apitoken reports example.com/look=now")
	return nil
}

// certificate creates the certificate of a CA.
func certificate(w *world) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.OK(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotBefore: w.clock.Now(), NotAfter: w.clock.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	w.OK(err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
