package drain

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/trim"
)

// pageSize limits the pages of lists, since an object can be larger than a megabyte.
const pageSize = 50

// survey are the objects that wait for the operator.
type survey struct {
	// tokens wait for the operator: they have its finalizer, or credentials in their ledger.
	tokens []v1alpha1.ApiToken
	// bare are the other ApiTokens that are not being deleted: deleting them is enough.
	bare      []v1alpha1.ApiToken
	providers []account.Object
	// secrets are held by the operator's finalizer; only their metadata is read.
	secrets []metav1.PartialObjectMetadata
	// missing are the Secrets of minting credentials that do not exist, by provider.
	missing map[account.Key]client.ObjectKey
}

// survey reads the cluster live.
func (d *drain) survey(ctx context.Context) (*survey, error) {
	out := &survey{missing: map[account.Key]client.ObjectKey{}}
	for _, namespace := range d.namespaces() {
		if err := d.surveyNamespace(ctx, out, namespace); err != nil {
			return nil, err
		}
	}
	err := d.pages(ctx, &v1alpha1.ClusterTokenProviderList{}, "", func(list client.ObjectList) {
		items := list.(*v1alpha1.ClusterTokenProviderList).Items //nolint:forcetypeassert // the list given
		for i := range items {
			out.addProvider(account.Of(items[i].DeepCopy()))
		}
	})
	if err != nil {
		return nil, err
	}
	if !slices.Contains(d.namespaces(), "") && !slices.Contains(d.namespaces(), d.Operator.Namespace) {
		if err := d.surveySecrets(ctx, out, d.Operator.Namespace); err != nil {
			return nil, err
		}
	}
	return out, d.surveyCredentials(ctx, out)
}

// namespaces are the namespaces to drain; "" means all.
func (d *drain) namespaces() []string {
	if len(d.Operator.Namespaces) == 0 {
		return []string{""}
	}
	return d.Operator.Namespaces
}

func (d *drain) surveyNamespace(ctx context.Context, out *survey, namespace string) error {
	err := d.pages(ctx, &v1alpha1.ApiTokenList{}, namespace, func(list client.ObjectList) {
		for _, t := range list.(*v1alpha1.ApiTokenList).Items { //nolint:forcetypeassert // the list given
			// An ApiToken that only another finalizer holds does not wait for the operator.
			held, deleting := controllerutil.ContainsFinalizer(&t, v1alpha1.Finalizer), !t.DeletionTimestamp.IsZero()
			switch {
			case held, !deleting && len(t.Status.Credentials) > 0:
				out.tokens = append(out.tokens, t)
			case !deleting:
				out.bare = append(out.bare, t)
			}
		}
	})
	if err != nil {
		return err
	}
	err = d.pages(ctx, &v1alpha1.TokenProviderList{}, namespace, func(list client.ObjectList) {
		items := list.(*v1alpha1.TokenProviderList).Items //nolint:forcetypeassert // the list given
		for i := range items {
			out.addProvider(account.Of(items[i].DeepCopy()))
		}
	})
	if err != nil {
		return err
	}
	return d.surveySecrets(ctx, out, namespace)
}

func (s *survey) addProvider(o account.Object) {
	if !o.Deleting() || controllerutil.ContainsFinalizer(o.Raw, v1alpha1.Finalizer) {
		s.providers = append(s.providers, o)
	}
}

func (d *drain) surveySecrets(ctx context.Context, out *survey, namespace string) error {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	return d.pages(ctx, list, namespace, func(client.ObjectList) {
		for _, s := range list.Items {
			if controllerutil.ContainsFinalizer(&s, v1alpha1.Finalizer) {
				out.secrets = append(out.secrets, s)
			}
		}
	}, client.HasLabels{v1alpha1.LabelManaged})
}

// surveyCredentials records which Secrets of minting credentials do not exist.
func (d *drain) surveyCredentials(ctx context.Context, out *survey) error {
	for _, o := range out.providers {
		if !o.HasCredentials() {
			continue
		}
		name := o.CredentialsKey(d.Operator.Namespace)
		switch err := d.client.Get(ctx, name, trim.Metadata("Secret")); {
		case apierrors.IsNotFound(err):
			out.missing[o.Key()] = name
		case err != nil:
			return fmt.Errorf("reading the metadata of Secret %s: %w", name, err)
		}
	}
	return nil
}

// pages reads a list page by page.
func (d *drain) pages(ctx context.Context, list client.ObjectList, namespace string, each func(client.ObjectList), opts ...client.ListOption) error {
	for next := ""; ; {
		page := append([]client.ListOption{client.InNamespace(namespace), client.Limit(pageSize), client.Continue(next)}, opts...)
		if err := d.client.List(ctx, list, page...); err != nil {
			return fmt.Errorf("listing %T: %w", list, err)
		}
		each(list)
		if next = list.GetContinue(); next == "" {
			return nil
		}
	}
}

// done reports whether nothing waits for the operator.
func (s *survey) done() bool {
	return len(s.tokens) == 0 && len(s.providers) == 0 && len(s.secrets) == 0
}

// uids returns the ApiTokens that wait for the operator.
func (s *survey) uids() map[types.UID]bool {
	out := make(map[types.UID]bool, len(s.tokens))
	for i := range s.tokens {
		out[s.tokens[i].UID] = true
	}
	return out
}

// fingerprint changes when the drain makes progress. Only the counted ApiTokens matter: one
// that is created during the drain is no progress.
func (s *survey) fingerprint(counted map[types.UID]bool) string {
	var b strings.Builder
	for i := range s.tokens {
		t := &s.tokens[i]
		if !counted[t.UID] {
			continue
		}
		fmt.Fprintln(&b, t.UID, t.DeletionTimestamp != nil)
		for _, c := range t.Status.Credentials {
			fmt.Fprintln(&b, c.Name, c.State, c.Gone)
		}
	}
	for _, o := range s.providers {
		fmt.Fprintln(&b, o.GetUID(), o.Deleting())
	}
	for i := range s.secrets {
		fmt.Fprintln(&b, s.secrets[i].UID)
	}
	return b.String()
}

// live counts the credentials in the ledgers.
func (s *survey) live() int {
	n := 0
	for i := range s.tokens {
		n += len(s.tokens[i].Status.Credentials)
	}
	return n
}

// accept returns an error if an object is not being deleted.
func (d *drain) accept(s *survey) error {
	var kept []string
	for _, t := range slices.Concat(s.tokens, s.bare) {
		if t.DeletionTimestamp.IsZero() {
			kept = append(kept, "ApiToken "+t.Namespace+"/"+t.Name)
		}
	}
	for _, o := range s.providers {
		if !o.Deleting() && d.inScope(o) {
			kept = append(kept, o.Key().String())
		}
	}
	if d.DeleteAll || len(kept) == 0 {
		return nil
	}
	return fmt.Errorf("%d objects are not being deleted: %s\nA drain only ends objects that are being deleted.\n"+
		"To delete all ApiTokens and providers, run it with --delete-all; deletionPolicy: Retain is honoured.\n"+
		"To keep this cluster's ApiTokens, install the operator again instead", len(kept), listed(kept))
}

// inScope reports whether the drain covers a provider. With a list of namespaces, other
// namespaces can use a ClusterTokenProvider, so the drain does not delete it.
func (d *drain) inScope(o account.Object) bool {
	return o.Kind == v1alpha1.KindTokenProvider || len(d.Operator.Namespaces) == 0
}

// most is how many objects a message names.
const most = 10

func listed(names []string) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
