package v1alpha1_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/repofile"
	"apitoken.dev/operator/test/support/testenv"
)

// The tests in this file hold what a later version of the API rests on: an object keeps
// every field on its way through Go, JSON, YAML and the API server, and nothing in the
// schema must be computed. See docs/upgrade-and-deprecation.md.

// kinds returns one empty object of each kind.
func kinds() []client.Object {
	return []client.Object{&v1alpha1.ApiToken{}, &v1alpha1.TokenProvider{}, &v1alpha1.ClusterTokenProvider{}}
}

// TestObjectsSurviveARoundTrip writes random objects as JSON and as YAML and reads them again.
func TestObjectsSurviveARoundTrip(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	const seed, rounds = 1, 300 // the same every time
	fill := fuzzer.FuzzerFor(metafuzzer.Funcs, source{rand.NewPCG(seed, seed)}, serializer.NewCodecFactory(scheme)).NilChance(0.3).NumElements(1, 3)
	for _, kind := range kinds() {
		t.Run(reflect.TypeOf(kind).Elem().Name(), func(t *testing.T) {
			for range rounds {
				object := reflect.New(reflect.TypeOf(kind).Elem()).Interface()
				fill.Fill(object)
				survives(t, object, json.Marshal, strictJSON)
				survives(t, object, yaml.Marshal, func(b []byte, to any) error { return yaml.UnmarshalStrict(b, to) })
			}
		})
	}
}

// source is the kind of source that the filler takes, of the older package.
type source struct{ *rand.PCG }

// Int63 returns 63 random bits.
func (s source) Int63() int64 { return int64(s.Uint64() >> 1) }

// Seed restarts the source.
func (s source) Seed(seed int64) { s.PCG.Seed(uint64(seed), 0) }

func strictJSON(content []byte, to any) error {
	decoder := json.NewDecoder(strings.NewReader(string(content)))
	decoder.DisallowUnknownFields()
	return decoder.Decode(to)
}

func survives(t *testing.T, object any, write func(any) ([]byte, error), read func([]byte, any) error) {
	t.Helper()
	content, err := write(object)
	if err != nil {
		t.Fatal(err)
	}
	back := reflect.New(reflect.TypeOf(object).Elem()).Interface()
	if err := read(content, back); err != nil {
		t.Fatalf("%v\n%s", err, content)
	}
	again, err := write(back)
	if err != nil {
		t.Fatal(err)
	}
	if before, after := sorted(t, content), sorted(t, again); before != after {
		t.Fatalf("changed in the round trip (-before +after):\n%s", cmp.Diff(before, after))
	}
	// An empty list and none are the same in JSON, and only there.
	if diff := cmp.Diff(object, back, emptyIsNone, sameTime); diff != "" {
		t.Fatalf("lost in the round trip (-before +after):\n%s", diff)
	}
}

// sorted is YAML or JSON as JSON, which has its keys in order: YAML's order of keys with
// digits depends on the order that they are sorted from.
func sorted(t *testing.T, content []byte) string {
	t.Helper()
	out, err := yaml.YAMLToJSON(content)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

var (
	emptyIsNone = cmp.FilterValues(func(a, b any) bool {
		x, y := reflect.ValueOf(a), reflect.ValueOf(b)
		return isEmpty(x) && isEmpty(y)
	}, cmp.Ignore())
	sameTime = cmp.Comparer(func(a, b metav1.Time) bool { return a.Equal(&b) })
)

// isEmpty: nothing is written for it.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Pointer:
		return v.IsNil()
	default:
		return false
	}
}

// TestFieldsHaveDescriptionsAndPlainDefaults: every field says what it is for, and every default is a plain value that
// depends on nothing.
func TestFieldsHaveDescriptionsAndPlainDefaults(t *testing.T) {
	files := repofile.Glob(t, "config/crd/bases/*.yaml")
	if len(files) != len(kinds()) {
		t.Fatalf("CRDs %v", files)
	}
	// Stored objects hold these: to change one is to change the API.
	want := map[string]any{
		"ApiToken.spec.deletionPolicy": "Revoke", "ApiToken.spec.providerRef.kind": "TokenProvider", "ApiToken.spec.rotation.strategy": "MakeBeforeBreak",
	}
	for _, kind := range []string{"TokenProvider", "ClusterTokenProvider"} {
		want[kind+".spec.aws.region"] = "us-east-1"
		want[kind+".spec.kloudbean.region"] = "us-east-1"
	}
	got := map[string]any{}
	for _, file := range files {
		for _, object := range repofile.Objects(t, file) {
			kind, _, _ := unstructured.NestedString(object.Object, "spec", "names", "kind")
			versions, _, _ := unstructured.NestedSlice(object.Object, "spec", "versions")
			if len(versions) == 0 {
				t.Fatalf("%s has no versions", file)
			}
			for _, version := range versions {
				schema, found, err := unstructured.NestedMap(version.(map[string]any), "schema", "openAPIV3Schema")
				if !found || err != nil {
					t.Fatalf("%s: no schema, %v", file, err)
				}
				checkSchema(t, kind, schema, got)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-before +now):\n%s", diff)
	}
}

// checkSchema checks the fields of an object and of the objects in it, and collects defaults.
func checkSchema(t *testing.T, path string, schema map[string]any, defaults map[string]any) {
	t.Helper()
	if value, ok := schema["default"]; ok {
		defaults[path] = value
		switch value.(type) {
		case string, bool, int64, float64:
		default:
			t.Errorf("%s: the default %v is not a plain value", path, value)
		}
	}
	if schema["x-kubernetes-preserve-unknown-fields"] == true || schema["x-kubernetes-embedded-resource"] == true {
		t.Errorf("%s keeps what the schema does not know", path)
	}
	properties, _ := schema["properties"].(map[string]any)
	for name, inner := range properties {
		field, _ := inner.(map[string]any)
		// All kinds have apiVersion, kind and metadata, and metadata has no schema here.
		if text, _ := field["description"].(string); strings.TrimSpace(text) == "" && (strings.Contains(path, ".") || name != "metadata") {
			t.Errorf("%s.%s has no description", path, name)
		}
		checkSchema(t, path+"."+name, field, defaults)
	}
	if items, ok := schema["items"].(map[string]any); ok {
		checkSchema(t, path+"[]", items, defaults)
	}
	if values, ok := schema["additionalProperties"].(map[string]any); ok {
		checkSchema(t, path+"{}", values, defaults)
	}
}

// TestAPIServerKeepsEverything stores objects in which every field is set, in all their
// variants, with their status, and reads them again: nothing is pruned.
func TestAPIServerKeepsEverything(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := testenv.Start(t).Client(scheme)
	used := map[string]bool{}
	for name, object := range wholeObjects() {
		t.Run(name, func(t *testing.T) {
			usedFields(reflect.TypeOf(object).Elem().Name(), reflect.ValueOf(object).Elem(), used)
			stores(t, c, object)
		})
	}
	for _, kind := range kinds() {
		for _, path := range allFields(reflect.TypeOf(kind).Elem().Name(), reflect.TypeOf(kind).Elem()) {
			if !used[path] {
				t.Errorf("no object sets %s: add it to wholeObjects", path)
			}
		}
	}
}

// TestAPIServerKeepsPartialObjects stores objects from which fields were taken at random.
func TestAPIServerKeepsPartialObjects(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := testenv.Start(t).Client(scheme)
	random := rand.New(rand.NewPCG(2, 2))
	for _, name := range slices.Sorted(mapKeys(wholeObjects())) {
		for range 10 {
			object := wholeObjects()[name]
			// The status has no rules between its fields: any of them may be absent.
			status := reflect.ValueOf(object).Elem().FieldByName("Status")
			for i := range status.NumField() {
				if random.IntN(2) == 0 {
					status.Field(i).SetZero()
				}
			}
			stores(t, c, object)
		}
	}
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// stores creates an object strictly, writes its status, reads both again, and deletes it.
func stores(t *testing.T, c client.Client, object client.Object) {
	t.Helper()
	want, ok := object.DeepCopyObject().(client.Object)
	if !ok {
		t.Fatalf("%T is no object", object)
	}
	strict := client.FieldValidation(metav1.FieldValidationStrict)
	if err := c.Create(t.Context(), object, strict); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Delete(context.WithoutCancel(t.Context()), object); err != nil {
			t.Error(err)
		}
	}()
	reflect.ValueOf(object).Elem().FieldByName("Status").Set(reflect.ValueOf(want).Elem().FieldByName("Status"))
	if err := c.Status().Update(t.Context(), object, &client.SubResourceUpdateOptions{UpdateOptions: client.UpdateOptions{FieldValidation: metav1.FieldValidationStrict}}); err != nil {
		t.Fatal(err)
	}
	got := reflect.New(reflect.TypeOf(object).Elem()).Interface().(client.Object)
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), got); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"Spec", "Status"} {
		before, after := reflect.ValueOf(want).Elem().FieldByName(part), reflect.ValueOf(got).Elem().FieldByName(part)
		if diff := cmp.Diff(before.Interface(), after.Interface(), emptyIsNone, sameTime); diff != "" {
			t.Errorf("%s (-stored +read):\n%s", part, diff)
		}
	}
}

// allFields lists the paths of the fields below a type of this API.
func allFields(path string, typ reflect.Type) []string {
	var out []string
	switch typ.Kind() {
	case reflect.Pointer:
		return allFields(path, typ.Elem())
	case reflect.Slice:
		return allFields(path+"[]", typ.Elem())
	case reflect.Struct:
		if typ.PkgPath() != reflect.TypeFor[v1alpha1.ApiToken]().PkgPath() {
			return nil
		}
		for field := range typ.Fields() {
			if field.Type.PkgPath() == reflect.TypeFor[metav1.ObjectMeta]().PkgPath() && field.Anonymous {
				continue
			}
			name := path + "." + field.Name
			out = append(append(out, name), allFields(name, field.Type)...)
		}
	default:
	}
	return out
}

// usedFields adds the paths of the fields that are set.
func usedFields(path string, v reflect.Value, used map[string]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			usedFields(path, v.Elem(), used)
		}
	case reflect.Slice:
		for i := range v.Len() {
			usedFields(path+"[]", v.Index(i), used)
		}
	case reflect.Struct:
		if v.Type().PkgPath() != reflect.TypeFor[v1alpha1.ApiToken]().PkgPath() {
			return
		}
		for i := range v.NumField() {
			if name := path + "." + v.Type().Field(i).Name; !v.Field(i).IsZero() {
				used[name] = true
				usedFields(name, v.Field(i), used)
			}
		}
	default:
	}
}

// at is a time, in whole seconds as they are stored.
func at(hours int) *metav1.Time {
	return &metav1.Time{Time: time.Date(2030, 1, 31, 0, 0, 0, 0, time.UTC).Add(time.Duration(hours) * time.Hour)}
}

func conditions() []metav1.Condition {
	return []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Ready", Message: "m", ObservedGeneration: 3, LastTransitionTime: *at(0)}}
}

// wholeObjects returns objects by name that together set every field.
func wholeObjects() map[string]client.Object {
	out := map[string]client.Object{"token": wholeToken(), "token with an end": wholeToken()}
	end, _ := out["token with an end"].(*v1alpha1.ApiToken)
	end.Spec.ExpiresIn, end.Spec.ExpiresAt = nil, v1alpha1.NewTimestamp(at(10000).Time)
	status := v1alpha1.ProviderStatus{
		ObservedGeneration: 3, Conditions: conditions(), Account: "123456789012", FormerAccount: "123456789012@iam.example.com",
		Driver: "aws", Endpoint: "https://iam.example.com", GrantableScopes: []string{"a:b", "c:d"}, LiveCredentials: 2,
		LastError: &v1alpha1.ProviderError{At: *at(1), Operation: "mint", Code: "Unavailable", Message: "m"},
	}
	for driver, spec := range wholeSpecs() {
		out["provider "+driver] = &v1alpha1.TokenProvider{ObjectMeta: meta("default"), Spec: spec, Status: *status.DeepCopy()}
		out["cluster provider "+driver] = &v1alpha1.ClusterTokenProvider{ObjectMeta: meta(""), Status: *status.DeepCopy(),
			Spec: v1alpha1.ClusterProviderSpec{ProviderSpec: *spec.DeepCopy(), AllowedNamespaces: &metav1.LabelSelector{
				MatchLabels:      map[string]string{"tokens": "allowed"},
				MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: metav1.LabelSelectorOpIn, Values: []string{"ml"}}},
			}}}
	}
	return out
}

func meta(namespace string) metav1.ObjectMeta {
	return metav1.ObjectMeta{GenerateName: "whole-", Namespace: namespace}
}

func wholeToken() *v1alpha1.ApiToken {
	return &v1alpha1.ApiToken{
		ObjectMeta: meta("default"),
		Spec: v1alpha1.ApiTokenSpec{
			ProviderRef: v1alpha1.ProviderReference{Kind: v1alpha1.KindClusterTokenProvider, Name: "object-store"},
			Description: "d", Scopes: []v1alpha1.Scope{"objectstorage:object-read-only"}, Buckets: []v1alpha1.Bucket{"datasets", "models"},
			Restrictions: v1alpha1.Restrictions{
				AllowedIPs: []v1alpha1.IPRange{"203.0.113.0/24"}, DeniedIPs: []v1alpha1.IPRange{"2001:db8::7"}, Subaccounts: []string{"s"},
			},
			ExpiresIn: &metav1.Duration{Duration: 2160 * time.Hour},
			Rotation: v1alpha1.Rotation{
				Before: &metav1.Duration{Duration: 90 * time.Minute}, Overlap: &metav1.Duration{Duration: 1500 * time.Millisecond}, Generation: 7,
				Strategy: v1alpha1.RevokeFirst,
			},
			Secret:         v1alpha1.SecretTarget{Name: "s3", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c/d": "e f"}},
			DeletionPolicy: v1alpha1.DeletionRetain, Suspend: true,
		},
		Status: v1alpha1.ApiTokenStatus{
			ObservedGeneration: 3, Conditions: conditions(), Revision: 2,
			Credentials: []v1alpha1.LedgerEntry{{
				Name: "at1-c-t-1-n", State: "AStateOfALaterVersion", Account: "a", ID: "AKIA", Reason: "Initial", ReservedAt: at(1), IssuedAt: at(2), ExpiresAt: at(3),
				RetireAt: at(4), Fingerprint: "f", Fixed: "x", Updating: "u", ByHand: true, Gone: true, RotationGeneration: 7, LifetimeSeconds: 8,
				Drift: "ADriftOfALaterVersion",
			}},
			Secret: v1alpha1.PublishedSecret{Name: "s3", ResourceVersion: "42"}, ExpiresAt: at(3), RotatesAt: at(2), ExpiryEnforcedBy: "Provider",
			Effective:  v1alpha1.EffectiveValues{ExpiresIn: "2160h", Before: "720h", Overlap: "1h"},
			Columns:    v1alpha1.Columns{Scopes: "a:b", Buckets: "datasets", Expires: "2030-01-01", Rotates: "2030-01-02"},
			MintBudget: &v1alpha1.MintBudget{Remaining: 4, RefilledAt: *at(1)}, Retry: &v1alpha1.Retry{Failures: 2, NotBefore: *at(2)},
			GapSince: at(1), GapReason: "Scheduled", LastGap: "2s",
		},
	}
}

const somePEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

// wholeRest sets every field that is there, found by reflection, and then those that
// cannot be any text.
func wholeRest() *v1alpha1.RestProvider {
	r := &v1alpha1.RestProvider{}
	setAll(reflect.ValueOf(r).Elem())
	return r
}

// setAll sets every field to a value that the schema of a rest block takes.
func setAll(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		setAll(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[metav1.Duration]() {
			v.Field(0).SetInt(int64(10 * time.Second))
			return
		}
		for i := range v.NumField() {
			setAll(v.Field(i))
			if text, ok := restTexts[v.Type().Field(i).Name]; ok {
				set(v.Field(i), text)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		setAll(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		setAll(value)
		v.SetMapIndex(reflect.ValueOf("key"+v.Type().Elem().Name()).Convert(v.Type().Key()), value)
	case reflect.String:
		if v.Type() == reflect.TypeFor[v1alpha1.RestCode]() {
			v.SetString("QuotaExceeded")
			return
		}
		v.SetString("item.text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(450) // a status that refuses, and a number like any other
	default:
		panic(fmt.Sprintf("a %s in a rest block", v.Kind()))
	}
}

// restTexts are values of fields that take no other.
var restTexts = map[string]any{
	"BaseURL": "https://api.example.com", "CABundle": somePEM, "Scope": "a:b", "Narrows": "buckets", "Fields": "expiry",
	"Method": "POST", "Path": "/v1/{{ .name }}", "SuccessStatuses": 201, "EnforcedBy": "Provider", "Name": "item-name", "Disabled": "item.disabled",
	"MaxLifetime": &metav1.Duration{Duration: time.Hour},
}

func set(v reflect.Value, value any) {
	if v.Kind() == reflect.Slice {
		set(v.Index(0), value)
		return
	}
	if text, ok := value.(string); ok && v.CanInt() {
		v.SetInt(int64(48 + len(text))) // limits.name is a number
		return
	}
	v.Set(reflect.ValueOf(value).Convert(v.Type()))
}
