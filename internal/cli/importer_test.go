package cli_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/internal/cli/exit"
)

// createSecret creates a Secret with keys that no operator manages.
func (w *world) createSecret(name string, data map[string]string) {
	w.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, Name: name}, StringData: map[string]string{
		"AWS_ACCESS_KEY_ID": canary, "AWS_SECRET_ACCESS_KEY": canary}}
	for k, v := range data {
		secret.StringData[k] = v
	}
	w.ExpectApplied(secret)
}

func TestImportProposesManifestsForASecret(t *testing.T) {
	w := newWorld(t, "legacy")
	w.createSecret("old-keys", map[string]string{"S3_ENDPOINT": "https://s3.example.com/", "BUCKET_NAME": "datasets", "AWS_REGION": "eu-1"})
	w.createPod("worker", 0, func(s *corev1.PodSpec) {
		s.Volumes = []corev1.Volume{{Name: "key", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{
			Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "old-keys"}}}}}}}}
	})
	r := w.expect(w.run("import", "old-keys"), exit.OK, "iamEndpoint: https://s3.example.com", "The endpoint of the IAM API is a guess")
	w.golden("import.txt", r.out)
	// The API server and the schema accept the printed manifests.
	w.expect(w.run("plan", "-f", w.writeFile("import.yaml", r.out)), exit.OK, "ApiToken legacy/old-keys-token: a credential is issued")

	w.createProvider("object-store")
	r = w.expect(w.run("import", "secret/old-keys", "--name", "data", "--secret-name", "data-s3", "--scope", "objectstorage:object-read-write"), exit.OK,
		"name: object-store", "name: data-s3", "objectstorage:object-read-write")
	if strings.Contains(r.out, "kind: TokenProvider\nmetadata") {
		t.Errorf("a provider is made although one fits: %s", r.out)
	}
	w.createProvider("object-store-2")
	w.expect(w.run("import", "old-keys"), exit.OK, "Several providers have this endpoint: TokenProvider legacy/object-store.", "Choose one with --provider")
	w.expect(w.run("import", "old-keys", "--provider", "ClusterTokenProvider/shared"), exit.OK, "kind: ClusterTokenProvider\n    name: shared")
}

func TestImportRefusesUnusableSecrets(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.makeReady(w.createToken("one"))
	w.createSecret("odd", map[string]string{"BUCKET_NAME": canary + " no bucket", "AWS_ENDPOINT_URL": "https://user:" + canary + "@s3.example.com", "AWS_REGION": canary})
	w.expect(w.run("import", "one"), exit.Refused, `published by ApiToken "one" already`)
	w.expect(w.run("import", "odd"), exit.Usage, "name it with --bucket", "AWS_ACCESS_KEY_ID")
	w.expect(w.run("import", "odd", "--bucket", "a1"), exit.OK, "aws: {}")
	w.expect(w.run("import", "odd", "--bucket", "a1", "--name", "odd"), exit.Usage, "choose another name")
	w.expect(w.run("import", "odd", "--bucket", "a1", "--provider", "Vault/a"), exit.Usage, "write TokenProvider/NAME or ClusterTokenProvider/NAME")
	w.expect(w.run("import", "none"), exit.NotFound)
	w.OK(w.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, Name: "bearer"}, StringData: map[string]string{"token": canary}}))
	w.expect(w.run("import", "bearer", "--scope", "account:read"), exit.Usage, "its keys are token", "name the provider with --provider")
	w.expect(w.run("import", "bearer", "--scope", "account:read", "--provider", "TokenProvider/proxies"), exit.OK, "- account:read")
}
