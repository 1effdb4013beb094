package apifake_test

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

// moment has a zone and a fraction of a second; neither comes back from a server.
var moment = metav1.NewTime(time.Date(2027, 5, 6, 7, 8, 9, 987654321, time.FixedZone("east", 2*60*60)))

var formScenarios = []scenario{
	{"times come back in whole seconds", func(w *world) {
		written := v1alpha1.Timestamp(moment.Format(time.RFC3339Nano))
		token := w.token("a", func(t *v1alpha1.ApiToken) { t.Spec.ExpiresAt = &written })
		want := metav1.NewTime(moment.Truncate(time.Second).Local())
		w.equal("of a spec, as it was written", *reread(w, token).Spec.ExpiresAt, written)
		token.Status.Credentials = []v1alpha1.LedgerEntry{{Name: "x", State: v1alpha1.StateMinting, ReservedAt: &moment}}
		token.Status.Retry = &v1alpha1.Retry{Failures: 1, NotBefore: moment}
		w.ok(w.Status().Update(w.ctx, token))
		w.equal("in the ledger", token.Status.Credentials[0].ReservedAt.String(), want.String())
		w.equal("in a struct", token.Status.Retry.NotBefore.String(), want.String())
		before := token.ResourceVersion
		token.Status.Retry.NotBefore = moment
		w.ok(w.Status().Update(w.ctx, token))
		w.equal("version after another fraction", token.ResourceVersion, before)
	}},
	{"what is empty comes back as nil", func(w *world) {
		token := w.token("a", func(t *v1alpha1.ApiToken) {
			t.Labels, t.Annotations = map[string]string{}, map[string]string{}
			t.Spec.Buckets = []v1alpha1.Bucket{"b1"}
			t.Spec.Restrictions.AllowedIPs = []v1alpha1.IPRange{}
			t.Spec.Secret.Labels = map[string]string{}
		})
		got := reread(w, token)
		w.equal("nil", []bool{got.Labels == nil, got.Annotations == nil, got.Spec.Restrictions.AllowedIPs == nil, got.Spec.Secret.Labels == nil},
			[]bool{true, true, true, true})
		got.Status.Revision = 1
		w.ok(w.Status().Update(w.ctx, got))
		version := got.ResourceVersion
		got.Status.Credentials = []v1alpha1.LedgerEntry{}
		w.ok(w.Status().Update(w.ctx, got))
		w.equal("version", got.ResourceVersion, version)
	}},
	{"the data of a Secret", func(w *world) {
		secret := w.secret("a", func(s *corev1.Secret) {
			s.Data = map[string][]byte{"nil": nil, "empty": {}, "both": []byte("data")}
			s.StringData = map[string]string{"both": "string", "plain": "text"}
		})
		got := reread(w, secret)
		want := map[string][]byte{"nil": {}, "empty": {}, "both": []byte("string"), "plain": []byte("text")}
		w.equal("data", got.Data, want)
		w.equal("stringData", got.StringData == nil, true)
		got.Data = nil
		w.ok(w.Update(w.ctx, got))
		w.equal("no data", reread(w, secret).Data == nil, true)
	}},
	{"an answer replaces what the sender's object holds", func(w *world) {
		token := w.token("a")
		held := token.DeepCopy()
		held.Status.Revision = 7
		held.Labels = map[string]string{"only": "here"}
		held.Status.Conditions = []metav1.Condition{{Type: "Ready"}}
		w.ok(w.Get(w.ctx, client.ObjectKeyFromObject(token), held))
		w.equal("token", held.Status, v1alpha1.ApiTokenStatus{})
		w.equal("labels", len(held.Labels), 0)
		secret := w.secret("a")
		heldSecret := secret.DeepCopy()
		heldSecret.Data["only"] = []byte("here")
		heldSecret.Labels = map[string]string{"only": "here"}
		w.ok(w.Get(w.ctx, client.ObjectKeyFromObject(secret), heldSecret))
		w.equal("Secret", []any{len(heldSecret.Data), len(heldSecret.Labels)}, []any{1, 0})
	}},
}

var readScenarios = []scenario{
	{"get of what does not exist", func(w *world) {
		token := w.newToken("a")
		w.gone(token)
		w.fails(w.Get(w.ctx, client.ObjectKeyFromObject(token), partial("apitoken.dev/v1alpha1", "ApiToken")), metav1.StatusReasonNotFound)
		w.equal("the object after an error", token.Spec.ProviderRef.Name, "store")
	}},
	{"list by namespace and label, in order", func(w *world) {
		label := func(t *v1alpha1.ApiToken) { t.Labels = map[string]string{"team": "ml"} }
		w.token("b", label)
		w.token("a", label)
		last := w.token("c")
		w.secret("a", func(s *corev1.Secret) { s.Labels = map[string]string{v1alpha1.LabelManaged: "true"} })
		w.secret("b")
		var all, some v1alpha1.ApiTokenList
		w.ok(w.List(w.ctx, &all, client.InNamespace(w.ns)))
		w.equal("all", tokenNames(all), []string{"a", "b", "c"})
		w.equal("version", all.ResourceVersion >= last.ResourceVersion, true)
		w.equal("item", all.Items[2].ResourceVersion, last.ResourceVersion)
		w.equal("kind of an item", all.Items[2].Kind, "ApiToken")
		w.ok(w.List(w.ctx, &some, client.InNamespace(w.ns), client.MatchingLabels{"team": "ml"}))
		w.equal("some", tokenNames(some), []string{"a", "b"})
		w.ok(w.List(w.ctx, &all, client.InNamespace("nowhere")))
		w.equal("none", len(all.Items), 0)
		selector, err := labels.Parse(v1alpha1.LabelManaged)
		w.ok(err)
		metas := &metav1.PartialObjectMetadataList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "SecretList"}}
		w.ok(w.List(w.ctx, metas, client.InNamespace(w.ns), client.MatchingLabelsSelector{Selector: selector}))
		w.equal("metadata", []any{len(metas.Items), metas.Items[0].Name, metas.Items[0].Kind, metas.Kind}, []any{1, "a", "Secret", "SecretList"})
		var secrets corev1.SecretList
		w.ok(w.List(w.ctx, &secrets, client.InNamespace(w.ns)))
		w.equal("Secrets", []any{len(secrets.Items), secrets.Items[0].Kind, secrets.Kind, all.Kind}, []any{2, "", "", ""})
	}},
	{"what kinds there are", func(w *world) {
		namespaced, err := w.IsObjectNamespaced(&v1alpha1.ClusterTokenProvider{})
		w.ok(err)
		w.equal("cluster", namespaced, false)
		namespaced, err = w.IsObjectNamespaced(&corev1.Secret{})
		w.ok(err)
		w.equal("namespaced", namespaced, true)
		gvk, err := w.GroupVersionKindFor(&v1alpha1.ApiToken{})
		w.ok(err)
		w.equal("kind", gvk, v1alpha1.GroupVersion.WithKind("ApiToken"))
		mapping, err := w.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
		w.ok(err)
		w.equal("resource", mapping.Resource.Resource, "apitokens")
	}},
}

func tokenNames(list v1alpha1.ApiTokenList) []string {
	names := make([]string, len(list.Items))
	for i := range list.Items {
		names[i] = list.Items[i].Name
	}
	return names
}
