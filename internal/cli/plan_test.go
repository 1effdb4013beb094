package cli_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/repofile"
)

const declared = `apiVersion: apitoken.dev/v1alpha1
kind: ApiToken
metadata: {name: one}
spec:
  providerRef: {name: object-store}
  scopes: [objectstorage:object-read-only]
  buckets: [datasets]
`

// The golden file contains one plan of each kind.
func TestPlanMatchesTheGoldenFile(t *testing.T) {
	w := newWorld(t, "shop")
	w.createProvider("object-store")
	w.makeReady(w.createToken("reports"))
	w.makeReady(w.createToken("uploads"))
	w.makeReady(w.createToken("same"))
	file := w.writeFile("tokens.yaml", `apiVersion: apitoken.dev/v1alpha1
kind: ApiToken
metadata: {name: new}
spec:
  providerRef: {name: object-store}
  description: nightly training
  scopes: [objectstorage:object-read-only]
  buckets: [datasets]
  expiresIn: 720h
---
apiVersion: apitoken.dev/v1alpha1
kind: ApiToken
metadata: {name: same}
spec:
  providerRef: {name: object-store}
  description: only the description differs
  scopes: [objectstorage:object-read-only]
  buckets: [datasets]
---
apiVersion: apitoken.dev/v1alpha1
kind: ApiToken
metadata: {name: reports}
spec:
  providerRef: {name: object-store}
  scopes: [objectstorage:object-read-only]
  buckets: [datasets, archive]
---
apiVersion: apitoken.dev/v1alpha1
kind: ApiToken
metadata: {name: uploads}
spec:
  providerRef: {name: object-store}
  scopes: [billing:read-only]
`)
	r := w.expect(w.run("plan", "-f", file), exit.Refused)
	// The credential name contains the hash of this cluster.
	hash := w.openSession().ClusterOf(t.Context(), w.createToken("aside"), nil)
	w.golden("plan.txt", strings.ReplaceAll(r.out, hash, "qrstuvwx"))
	view := w.decode(w.expect(w.run("plan", "-f", file, "-o", "json"), exit.Refused).out)
	var outcomes []string
	for _, p := range view["plans"].([]any) {
		outcomes = append(outcomes, p.(map[string]any)["outcome"].(string))
	}
	if got := strings.Join(outcomes, " "); got != "Issue Nothing Reissue Refused" {
		t.Errorf("the outcomes are %s", got)
	}
	if w.read("new") != nil || len(w.read("reports").Spec.Buckets) != 1 {
		t.Error("plan changes something")
	}
}

// Each case compares a declaration with the stored ApiToken.
func TestPlanReportsWhatADeclarationChanges(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.makeReady(w.createToken("one"))
	for name, c := range map[string]struct {
		file string
		args []string
		code exit.Code
		says []string
	}{
		"the same":             {file: declared, says: []string{"nothing happens at the provider", "the credential in use stays"}},
		"another spelling":     {file: strings.Replace(declared, "[datasets]", "[datasets]\n  expiresIn: 2160h", 1), says: []string{"nothing happens at the provider"}},
		"labels of the Secret": {file: declared + "  secret: {labels: {team: ml}}\n", says: []string{"the Secret is brought up to date", `spec.secret: (absent) → {"labels":{"team":"ml"}}`}},
		"a rotation": {file: declared + "  rotation: {generation: 1}\n",
			says: []string{"a new credential is issued", "spec.rotation.generation was raised", "one of the 5 credentials"}},
		"no bucket": {file: strings.Replace(declared, "  buckets: [datasets]\n", "  buckets: []\n", 1), code: exit.Refused,
			says: []string{"refused (Invalid)", "needs buckets"}},
		"a misspelled field": {file: strings.Replace(declared, "buckets:", "bucket:", 1), code: exit.Refused, says: []string{`unknown field "spec.bucket"`}},
		"another provider":   {file: strings.Replace(declared, "object-store", "other", 1), code: exit.Refused, says: []string{"create another ApiToken"}},
		"a scope it cannot give": {file: strings.Replace(declared, "objectstorage:object-read-only", "kitchen:sink", 1), code: exit.Refused,
			says: []string{"refused (ScopeNotGrantable)", "kitchen:sink", hint.ActionFor(v1alpha1.ReasonScopeNotGrantable)}},
		"suspended":              {file: declared + "  suspend: true\n  expiresIn: 48h\n", code: exit.Failed, says: []string{"accepted, but nothing can be issued now (Suspended)"}},
		"a hard end in the past": {file: declared + "  expiresAt: 2026-11-01T00:00:00Z\n", says: []string{"access ends (Expired)"}},
		"server-side":            {file: declared + "  secret: {labels: {team: ml}}\n", args: []string{"--server-side", "--force-conflicts"}, says: []string{"the Secret is brought up to date"}},
		"a provider of the same file": {
			file: strings.ReplaceAll(strings.Replace(declared, "name: one", "name: fresh", 1), "object-store", "inline") +
				"---\napiVersion: apitoken.dev/v1alpha1\nkind: TokenProvider\nmetadata: {name: inline}\nspec: {credentialsSecretRef: {name: minter}, aws: {}}\n" +
				"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: aside}\n",
			says: []string{"a credential is issued", "assumed: the credentials of the provider in the files work", "1 objects of other kinds"}},
		"a provider that does not exist": {file: strings.ReplaceAll(strings.Replace(declared, "name: one", "name: fresh", 1), "object-store", "nowhere"), code: exit.Failed,
			says: []string{"accepted, but nothing can be issued now (ProviderNotFound)"}},
		"a namespace that does not exist": {file: strings.Replace(declared, "name: one", "name: one, namespace: nowhere", 1), args: []string{"--namespace=nowhere"}, code: exit.Refused,
			says: []string{"refused (NotFound)", `namespaces "nowhere" not found`}},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			args := append([]string{"plan", "-f", w.writeFile("token.yaml", c.file)}, c.args...)
			w.expect(w.run(args...), c.code, c.says...)
		})
	}
}

// As with kubectl apply, fields of other managers stay, and fields that the file no longer declares are
// removed.
func TestPlanKeepsWhatOthersSet(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	applied := declared + "  suspend: true\n"
	w.makeReady(w.createToken("one", func(t *v1alpha1.ApiToken) {
		t.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: w.json(applied)}
		t.Spec.Suspend, t.Spec.Rotation.Generation = true, 4
	}))
	r := w.expect(w.run("plan", "-f", w.writeFile("token.yaml", declared)), exit.OK, "spec.suspend: true → (absent)", "nothing happens at the provider")
	if strings.Contains(r.out, "rotation") {
		t.Errorf("what rotate has set is taken away: %s", r.out)
	}
}

// For a rest block, the plan shows the request.
func TestPlanShowsAChangeInPlace(t *testing.T) {
	w := newWorld(t, "")
	p := w.createProvider("proxies", func(p *v1alpha1.TokenProvider) {
		p.Spec.AWS, p.Spec.ProxyScrape = nil, &v1alpha1.ProxyScrapeProvider{}
		p.Status.Account = "42"
		p.Status.GrantableScopes = []string{"residential:read", "residential:write"}
		p.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonReady, "ok", 1)}
	})
	driver, _, err := w.Env.Registry.Resolve(registry.Spec{ProviderSpec: &p.Spec})
	w.OK(err)
	w.makeReady(w.createToken("one", func(t *v1alpha1.ApiToken) {
		t.Spec.ProviderRef.Name, t.Spec.Scopes, t.Spec.Buckets = "proxies", []v1alpha1.Scope{"residential:read"}, nil
	}), func(t *v1alpha1.ApiToken) {
		e := &t.Status.Credentials[0]
		e.Account, e.Fixed = "42", plan.Fixed(&t.Spec, driver.Capabilities().Updates)
	})
	file := w.writeFile("token.yaml", strings.NewReplacer("object-store", "proxies", "objectstorage:object-read-only", "residential:write", "  buckets: [datasets]\n", "").Replace(declared))
	w.expect(w.run("plan", "-f", file), exit.OK, "the credential is changed in place; its secret stays (Updating)", "Request to TokenProvider proxies (proxyscrape): update", "AKIAEXAMPLE2")
}

// The credentials in the request are redacted.
func TestPlanShowsTheRequestOfARestBlock(t *testing.T) {
	w := newWorld(t, "")
	file := w.writeFile("gitea.yaml", strings.ReplaceAll(repofile.Read(t, "config/samples/rest-gitea.yaml"), "namespace: ml", "namespace: "+w.Ns))
	w.expect(w.run("plan", "-f", file), exit.OK, "a credential is issued", "(rest): mint", "| POST https://gitea.example.com/api/v1/users/[redacted]/tokens", "[redacted]",
		"| Authorization: ", `"scopes": [`)
}

func TestPlanShowsTheFormOfAManualCredential(t *testing.T) {
	w := newHandoverWorld(t)
	file := w.writeFile("token.yaml", strings.Replace(declared, "object-store", "kloudbean", 1))
	w.expect(w.run("plan", "-f", file), exit.OK, "a user is asked to act at the provider (ActionRequired)", "Permission: Read only", "one-handover",
		"Request to TokenProvider kloudbean (kloudbean): manual")
	if verb := w.expect(w.run("plan", "-f", file, "-o", "jsonpath={.plans[0].request.verb}"), exit.OK).out; verb != `by hand` {
		t.Errorf("scripts read the verb %q", verb)
	}
}

// The account has two slots, and other ApiTokens use them.
func TestPlanCountsTheCredentialsOfAnAccount(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store", func(p *v1alpha1.TokenProvider) {
		p.Spec.AWS = nil
		p.Spec.Crusoe = &v1alpha1.CrusoeProvider{OrganizationID: "ab4a6b00-aa5f-408e-a9fb-ac6de5eb45ab", Location: "us-east1-a"}
	})
	every := strings.NewReplacer("[datasets]", `["*"]`, "object-read-only", "admin-read-write").Replace(declared)
	w.expect(w.run("plan", "-f", w.writeFile("a.yaml", every)), exit.OK, "a credential is issued", "2 credentials in all: the operator counts them first")
	w.makeReady(w.createToken("first", func(t *v1alpha1.ApiToken) {
		t.Spec.Buckets, t.Spec.Scopes = []v1alpha1.Bucket{"*"}, []v1alpha1.Scope{"objectstorage:admin-read-write"}
	}))
	w.expect(w.run("plan", "-f", w.writeFile("b.yaml", every)), exit.Refused, "refused (ProviderShared)", "ApiToken first")
}

// A user who cannot read Secrets can still plan. A note states the assumption.
func TestPlanNotesASecretThatItMayNotRead(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.makeReady(w.createToken("one"))
	w.allow("planner", "apitoken.dev", []string{"apitokens", "tokenproviders"}, "get", "patch", "create", "list")
	r := w.run("plan", "-f", w.writeFile("token.yaml", declared), "--as", "planner")
	w.expect(r, exit.OK, "nothing happens at the provider", "assumed: Secret one is as the operator left it: could not read it, because you may not get secrets in namespace "+w.Ns)
}

func TestPlanSeesALostSecret(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.makeReady(w.createToken("one"))
	w.OK(w.Patch(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, Name: "one"}},
		client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"apitoken.dev/credential":null}}}`))))
	w.expect(w.run("plan", "-f", w.writeFile("token.yaml", declared)), exit.OK, "a new credential is issued", "the Secret no longer holds the current one")
}
