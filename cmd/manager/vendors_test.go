package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/features"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/drivers/kloudbean"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/badserver"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/repofile"
	"apitoken.dev/operator/test/support/samples"
	"apitoken.dev/operator/test/support/simulate/crusoesim"
	"apitoken.dev/operator/test/support/simulate/ibeesim"
	"apitoken.dev/operator/test/support/simulate/kloudbeansim"
	"apitoken.dev/operator/test/support/simulate/proxyscrapesim"
	"apitoken.dev/operator/test/support/simulate/restsim"
	"apitoken.dev/operator/test/support/testenv"
	"apitoken.dev/operator/test/support/testutil"
)

// These tests run the operator with the binary's drivers and the shipped samples on a real
// API server, against simulators of the vendors.

var env *testenv.Env

func TestMain(m *testing.M) {
	if os.Getenv(asManager) != "" {
		main()
		return
	}
	os.Exit(testenv.Main(m, &env))
}

// bench is one namespace with its own operator.
type bench struct {
	*kit.Kit
	ns    string
	clock clock.Clock
	log   *testutil.Log
}

// loopback permits the addresses of the simulators, which tenants cannot reach by default.
const loopback = "private,127.0.0.0/8,::1/128"

func newBench(t *testing.T) *bench {
	t.Helper()
	return newBenchFor(t, loopback)
}

// newBenchFor returns a bench whose TokenProviders can reach these endpoints.
func newBenchFor(t *testing.T, endpoints string) *bench {
	t.Helper()
	b := newBenchWithoutOperator(t)
	registry, err := drivers(features.New())
	b.OK(err)
	o := operator.Options{
		Registry: registry, Logger: b.log.Logger(1), Namespace: b.ns, Namespaces: []string{b.ns}, ClusterIdentity: b.ns, Version: "test",
	}
	b.OK(o.TenantEndpoints.Set(endpoints))
	mgr, err := operator.New(t.Context(), env.Config, o)
	b.OK(err)
	b.Run(mgr.Start)
	return b
}

// newBenchWithoutOperator returns a bench whose operator is not started yet.
func newBenchWithoutOperator(t *testing.T) *bench {
	t.Helper()
	b := &bench{Kit: kit.New(t, env), clock: clock.NewReal(), log: &testutil.Log{}}
	b.Dump = func() string { return b.log.Tail(10) }
	b.ns = b.Namespace("vendor", map[string]string{"tokens": "allowed"})
	return b
}

// serve serves a simulator and returns its URL.
func (b *bench) serve(h http.Handler) string {
	b.Helper()
	s := httptest.NewServer(h)
	b.Cleanup(s.Close)
	return s.URL
}

// minter creates a Secret with minting credentials.
func (b *bench) minter(name string, values map[string]string) {
	b.Helper()
	b.ExpectApplied(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: name}, StringData: values})
}

// sample applies the objects of a shipped sample with some values replaced. It returns the
// name of the first ApiToken.
func (b *bench) sample(file string, replace ...string) (token string) {
	b.Helper()
	text := repofile.Read(b, "config/samples/"+file)
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			b.Fatalf("%s does not say %q", file, replace[i])
		}
		text = strings.ReplaceAll(text, replace[i], replace[i+1])
	}
	for part := range strings.SplitSeq(text, "\n---\n") {
		kind := metav1.TypeMeta{}
		b.OK(yaml.Unmarshal([]byte(part), &kind))
		var o client.Object
		switch kind.Kind {
		case "ApiToken":
			o = &v1alpha1.ApiToken{}
		case "TokenProvider":
			o = &v1alpha1.TokenProvider{}
		case "ClusterTokenProvider":
			o = &v1alpha1.ClusterTokenProvider{}
		default:
			b.Fatalf("%s has a %q", file, kind.Kind)
		}
		b.OK(yaml.UnmarshalStrict([]byte(part), o))
		if kind.Kind != "ClusterTokenProvider" {
			o.SetNamespace(b.ns)
		}
		b.ExpectApplied(o)
		if kind.Kind == "ApiToken" && token == "" {
			token = o.GetName()
		}
	}
	return token
}

// token returns an ApiToken of this namespace that was not read.
func (b *bench) token(name string) *v1alpha1.ApiToken {
	return &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: name}}
}

func (b *bench) get(name string) *v1alpha1.ApiToken {
	b.Helper()
	t := b.token(name)
	b.OK(b.Get(b.Context(), client.ObjectKeyFromObject(t), t))
	return t
}

// active returns the credential in use.
func active(t *v1alpha1.ApiToken) v1alpha1.LedgerEntry {
	i := slices.IndexFunc(t.Status.Credentials, func(e v1alpha1.LedgerEntry) bool { return e.State == v1alpha1.StateActive })
	if i < 0 {
		return v1alpha1.LedgerEntry{}
	}
	return t.Status.Credentials[i]
}

// ready waits until an ApiToken is Ready with another credential than this one.
func (b *bench) ready(name, before string) v1alpha1.LedgerEntry {
	b.Helper()
	var out v1alpha1.LedgerEntry
	b.Until(func() string {
		t := b.get(name)
		c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
		out = active(t)
		if c == nil || c.Status != metav1.ConditionTrue || c.ObservedGeneration != t.Generation || out.Name == before {
			said, _ := json.Marshal(t.Status)
			return fmt.Sprintf("%s is not Ready: %s", name, said)
		}
		return ""
	})
	return out
}

func rotate(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation++ }

// secret returns the data of a Secret.
func (b *bench) secret(name string) map[string]string {
	b.Helper()
	s := &corev1.Secret{}
	b.OK(b.Get(b.Context(), client.ObjectKey{Namespace: b.ns, Name: name}, s))
	out := map[string]string{}
	for k, v := range s.Data {
		out[k] = string(v)
	}
	return out
}

// holds checks which keys a Secret has.
func (b *bench) holds(name string, keys ...string) map[string]string {
	b.Helper()
	data := b.secret(name)
	var got []string
	for k := range data {
		got = append(got, k)
	}
	slices.Sort(got)
	if !slices.Equal(got, keys) {
		b.Errorf("Secret %s has the keys %v, want %v", name, got, keys)
	}
	return data
}

// s3Keys are the keys of a Secret for one bucket at a self-hosted server.
var s3Keys = []string{
	"AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_SECRET_ACCESS_KEY",
}

// The test does not run in parallel, because its provider is cluster-scoped.
func TestSpacesKeyIsIssuedRotatedAndRevoked(t *testing.T) {
	b := newBench(t)
	sim := restsim.NewSpaces(b.clock.Now, "CANARY-minting-token")
	b.minter("spaces-minter", map[string]string{"token": "CANARY-minting-token"})
	name := b.sample("rest-digitalocean-spaces.yaml", "https://api.digitalocean.com", b.serve(sim))
	first := b.ready(name, "")
	kit.Change(b.Kit, b.token(name), rotate)
	b.ready(name, first.Name)
	data := b.holds(name, slices.Sorted(slices.Values(append(slices.Clone(s3Keys), "BUCKET_NAME")))...)
	if !sim.Accepts(data["AWS_ACCESS_KEY_ID"], data["AWS_SECRET_ACCESS_KEY"]) {
		t.Error("the Secret's key is not accepted")
	}
	b.ExpectDeleted(b.token(name))
	b.ExpectGone(b.token(name))
	if left := sim.Tokens(); len(left) != 0 {
		t.Errorf("%d keys are left", len(left))
	}
	spaces := &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: "spaces"}}
	b.ExpectDeleted(spaces)
	b.ExpectGone(spaces)
	if strings.Contains(b.log.String(), "CANARY") {
		t.Error("the minting token is in the log")
	}
}

// TestTenantsReachNoNode: a user who can create TokenProviders cannot reach addresses that
// only the operator's node can reach, with any driver.
func TestTenantsReachNoNode(t *testing.T) {
	t.Parallel()
	b := newBenchFor(t, "private")
	requests := make(chan string, 1)
	url := b.serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case requests <- r.Method + " " + r.URL.Path:
		default:
		}
	}))
	named := strings.Replace(url, "127.0.0.1", "localhost", 1)
	all, err := drivers(features.New())
	b.OK(err)
	specs := map[string]v1alpha1.ProviderSpec{}
	credentials := map[string]string{}
	for block, spec := range samples.Blocks(t) {
		driver, settings, err := all.Resolve(registry.Spec{ProviderSpec: &spec})
		b.OK(err)
		located, _ := provider.As[provider.Located](driver)
		field := located.Server(t.Context(), provider.Config{Settings: settings}).Field
		if keys, ok := provider.As[provider.CredentialKeyer](driver); ok {
			for _, key := range keys.CredentialKeys() {
				credentials[key] = "minting0" // also valid base64
			}
		}
		if spec.CredentialsSecretRef.Name != "" {
			spec.CredentialsSecretRef.Name = "minter"
		}
		specs[block], specs[block+"-named"] = samples.With(t, spec, field, url), samples.With(t, spec, field, named)
	}
	b.minter("minter", credentials)
	for name, spec := range specs {
		p := &v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: name}, Spec: spec}
		b.ExpectApplied(p)
		b.ExpectCondition(p, kit.Condition{
			Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Says: []string{"an address that a TokenProvider must not reach"},
		})
	}
	select {
	case got := <-requests:
		t.Errorf("%s was sent", got)
	default:
	}
}

// TestConnectionErrorsAreExplained: the conditions of a provider and of its ApiTokens say
// which server did not answer, why, and what to do.
func TestConnectionErrorsAreExplained(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.minter("minter", map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "token": "token"})
	refusing, untrusted, page := badserver.Refusing(t).URL, badserver.UntrustedCA(t).URL, badserver.Page(t, http.StatusOK).URL
	for name, test := range map[string]struct {
		spec v1alpha1.ProviderSpec
		says []string
	}{
		"refused": {v1alpha1.ProviderSpec{AWS: &v1alpha1.AWSProvider{IAMEndpoint: refusing}},
			[]string{strings.TrimPrefix(refusing, "https://") + " refused the connection", "the port in spec.aws.iamEndpoint"}},
		"untrusted": {v1alpha1.ProviderSpec{ProxyScrape: &v1alpha1.ProxyScrapeProvider{Endpoint: untrusted}},
			[]string{strings.TrimPrefix(untrusted, "https://"), "CA that the operator does not trust", "caBundle"}},
		"page": {v1alpha1.ProviderSpec{IBEE: &v1alpha1.IBEEProvider{WorkspaceID: "42", Endpoint: page}},
			[]string{strings.TrimPrefix(page, "http://") + " answered with a web page", "spec.ibee.endpoint"}},
	} {
		test.spec.CredentialsSecretRef.Name = "minter"
		p := &v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: name}, Spec: test.spec}
		token := kit.ApiToken(b.ns, name, kit.OfNamespace(name))
		b.ExpectApplied(p, token)
		of := b.ExpectCondition(p, kit.Condition{Type: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonUnreachable, Says: test.says})
		also := b.ExpectCondition(token, kit.Condition{Type: v1alpha1.ConditionReady, Says: test.says})
		if strings.Contains(of.Message+also.Message, badserver.Canary) {
			t.Errorf("%s: a message shows what the server said: %+v, %+v", name, of, also)
		}
	}
}

func TestCrusoeKeyIsIssuedRotatedAndRevoked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const organization = "ab4a6b00-aa5f-408e-a9fb-ac6de5eb45ab"
	sim := crusoesim.New(b.clock.Now, crusoesim.User{
		ID: "user-1", Organizations: []string{organization}, AccessKeyID: "Hm11C1coQZm2-Aihn9ofYg", SecretKey: "HrbZ3VTUb2YNAq53Md1EsA",
	})
	b.minter("crusoe-minter", map[string]string{"accessKeyID": "Hm11C1coQZm2-Aihn9ofYg", "secretKey": "HrbZ3VTUb2YNAq53Md1EsA"})
	name := b.sample("crusoe.yaml", "    location:", "    endpoint: "+b.serve(sim)+"/v1\n    location:")
	last := b.ready(name, "")
	for range 2 { // the second rotation must end the overlap of the first
		kit.Change(b.Kit, b.token(name), rotate)
		last = b.ready(name, last.Name)
		data := b.holds(name, s3Keys...)
		if !sim.Accepts(data["AWS_ACCESS_KEY_ID"], data["AWS_SECRET_ACCESS_KEY"]) || len(sim.All()) > 2 {
			t.Errorf("%d keys, that of the Secret accepted: %t", len(sim.All()), sim.Accepts(data["AWS_ACCESS_KEY_ID"], data["AWS_SECRET_ACCESS_KEY"]))
		}
	}
	b.ExpectDeleted(b.token(name))
	b.ExpectGone(b.token(name))
	if keys := sim.All(); len(keys) != 0 {
		t.Errorf("%d keys are left", len(keys))
	}
}

func TestProxyScrapeKeyIsIssuedRotatedAndRevoked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sim := proxyscrapesim.New(b.clock.Now, "CANARY-minting-token", "account:apikeys:create", "account:apikeys:read", "account:apikeys:update",
		"account:apikeys:delete", "datacenter_shared:read", "residential:read")
	b.minter("proxyscrape-minter", map[string]string{"token": "CANARY-minting-token"})
	name := b.sample("proxyscrape.yaml", "https://api.proxyscrape.com   # also the default", b.serve(sim))
	first := b.ready(name, "")
	token := b.holds(name, "endpoint", "token")["token"]
	if !sim.Accepts(token, "203.0.113.9", b.clock.Now()) || sim.Accepts(token, "198.51.100.9", b.clock.Now()) {
		t.Error("the token does not work from where it is declared to, or works from elsewhere")
	}
	kit.Change(b.Kit, b.token(name), func(t *v1alpha1.ApiToken) { t.Spec.Restrictions.AllowedIPs = []v1alpha1.IPRange{"198.51.100.0/24"} })
	if changed := b.ready(name, ""); changed.Name != first.Name {
		t.Error("a change of addresses made a new key")
	}
	if b.secret(name)["token"] != token || !sim.Accepts(token, "198.51.100.9", b.clock.Now()) || sim.Accepts(token, "203.0.113.9", b.clock.Now()) {
		t.Error("the token was not changed in place")
	}
	kit.Change(b.Kit, b.token(name), func(t *v1alpha1.ApiToken) { t.Spec.Scopes = []v1alpha1.Scope{"serp_api:read"} })
	b.ExpectCondition(b.token(name), kit.Condition{ // a scope that the account may not grant
		Type: v1alpha1.ConditionStalled, Reason: v1alpha1.ReasonScopeNotGrantable, Says: []string{"residential:read"},
	})
	kit.Change(b.Kit, b.token(name), func(t *v1alpha1.ApiToken) {
		t.Spec.Scopes = []v1alpha1.Scope{"residential:read"}
		rotate(t)
	})
	second := b.ready(name, first.Name)
	b.ExpectDeleted(b.token(name))
	b.ExpectGone(b.token(name))
	if left := len(sim.Named(first.Name)) + len(sim.Named(second.Name)); left != 0 {
		t.Errorf("%d keys are left", left)
	}
}

// panel creates a key in KloudBean's panel as a user does when an ApiToken asks for one.
func (b *bench) panel(sim *kloudbeansim.Simulator, name string) (id string) {
	b.Helper()
	_, values, _ := strings.Cut(b.asks(name, v1alpha1.ReasonCreateCredential), ") with: ")
	values, _, _ = strings.Cut(values, ". Then put ")
	var fields []provider.FormField
	for part := range strings.SplitSeq(values, "; ") {
		label, value, _ := strings.Cut(part, ": ")
		fields = append(fields, provider.FormField{Label: label, Value: value})
	}
	form, err := kloudbeansim.ReadForm(fields)
	b.OK(err)
	details, err := sim.AddToken(b.Context(), form)
	b.OK(err)
	b.submit(name, map[string]string{kloudbean.KeyID: details.AccessKeyID, kloudbean.KeySecret: details.SecretAccessKey.Reveal()})
	return details.AccessKeyID
}

func TestKloudBeanKeyIsManual(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sim := kloudbeansim.New(b.clock.Now, "reports")
	endpoint := b.serve(sim.Handler())
	sim.EndpointURL = endpoint
	name := b.sample("kloudbean.yaml", "https://s3.kloudbean.com", endpoint, "203.0.113.7", "127.0.0.1")
	first := b.panel(sim, name)
	if got := b.ready(name, ""); got.ID != first || !got.ByHand {
		t.Errorf("in use is %+v, want %s", got, first)
	}
	data := b.holds(name, slices.Sorted(slices.Values(append(slices.Clone(s3Keys), "BUCKET_NAME")))...)
	if data["BUCKET_NAME"] != "reports" || !sim.Accepts(data["AWS_ACCESS_KEY_ID"], data["AWS_SECRET_ACCESS_KEY"]) {
		t.Errorf("the Secret's key is not accepted, or its bucket is %s", data["BUCKET_NAME"])
	}
	b.ExpectDeleted(b.token(name))
	if message := b.asks(name, v1alpha1.ReasonDeleteCredential); !strings.Contains(message, first) {
		t.Errorf("it asks for another key to be deleted: %s", message)
	}
	b.OK(sim.Delete(t.Context(), first))
	b.reconcile(name)
	b.ExpectGone(b.token(name))
}

// submit submits a credential as a user does.
func (b *bench) submit(name string, values map[string]string) {
	b.Helper()
	b.ExpectApplied(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: name + v1alpha1.HandoverSuffix,
			Labels: map[string]string{v1alpha1.LabelManaged: v1alpha1.ManagedHandover}},
		StringData: values,
	})
}

// asks waits until an ApiToken asks the user for an action, and returns the message.
func (b *bench) asks(name, reason string) string {
	b.Helper()
	return b.ExpectCondition(b.token(name), kit.Condition{Type: v1alpha1.ConditionActionRequired, Reason: reason}).Message
}

// reconcile makes the operator reconcile an ApiToken now instead of within a minute. It
// does nothing if the ApiToken no longer exists.
func (b *bench) reconcile(name string) {
	b.Helper()
	t := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: name}}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"example.com/reconcile":"now"}}}`))
	b.OK(client.IgnoreNotFound(b.Patch(b.Context(), t, patch)))
}

func TestIBEEKeyIsIssuedRotatedAndRevoked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sim := ibeesim.New("42", b.clock.Now)
	sim.AddToken("CANARY-platform-token", ibeesim.StorageRead, ibeesim.StorageWrite)
	b.minter("ibee-minter", map[string]string{"token": "CANARY-platform-token"})
	name := b.sample("ibee.yaml", "  ibee:\n", "  ibee:\n    endpoint: "+b.serve(sim.Handler())+"/v1\n")
	first := b.ready(name, "")
	if status := b.get(name).Status; status.ExpiryEnforcedBy != "Operator" || status.ExpiresAt == nil {
		t.Errorf("expiry %v, enforced by %s", status.ExpiresAt, status.ExpiryEnforcedBy)
	}
	kit.Change(b.Kit, b.token(name), rotate)
	b.ready(name, first.Name)
	data := b.secret(name)
	if !sim.Accepts(data["AWS_ACCESS_KEY_ID"], data["AWS_SECRET_ACCESS_KEY"]) || data["AWS_ENDPOINT_URL"] != "https://42.blob.ibeestorage.com" {
		t.Errorf("the Secret's key is not accepted, or its endpoint is %s", data["AWS_ENDPOINT_URL"])
	}
	b.ExpectDeleted(b.token(name))
	b.ExpectGone(b.token(name))
	for _, c := range sim.Credentials() {
		if c.Status == "active" {
			t.Errorf("%s is still active", c.Name)
		}
	}
}

// TestIBEEPortalTokenIsManual: a credential that only the portal can create is a manual
// credential.
func TestIBEEPortalTokenIsManual(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sim := ibeesim.New("42", b.clock.Now)
	sim.AddToken("CANARY-platform-token", ibeesim.StorageRead, ibeesim.StorageWrite)
	b.minter("ibee-minter", map[string]string{"token": "CANARY-platform-token"})
	b.sample("ibee.yaml", "  ibee:\n", "  ibee:\n    endpoint: "+b.serve(sim.Handler())+"/v1\n")
	const name = "ibee-invoices"
	b.asks(name, v1alpha1.ReasonCreateCredential)
	sim.AddToken("CANARY-too-much", ibeesim.BillingRead, ibeesim.StorageRead)
	b.submit(name, map[string]string{"token": "CANARY-too-much"})
	b.ExpectCondition(b.token(name), kit.Condition{ // the token may do more than is declared
		Type: v1alpha1.ConditionStalled, Reason: v1alpha1.ReasonHandoverRefused,
	})
	b.ExpectDeleted(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: name + v1alpha1.HandoverSuffix}})
	sim.AddToken("CANARY-billing", ibeesim.BillingRead)
	b.submit(name, map[string]string{"token": "CANARY-billing"})
	b.ready(name, "")
	if got := b.secret(name)["token"]; got != "CANARY-billing" {
		t.Error("the Secret holds another token")
	}
	b.ExpectDeleted(b.token(name))
	b.asks(name, v1alpha1.ReasonDeleteCredential)
	sim.EndToken("CANARY-billing", "key_revoked")
	b.reconcile(name)
	b.ExpectGone(b.token(name))
	if strings.Contains(b.log.String(), "CANARY") {
		t.Error("a token is in the log")
	}
}
