package drain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
)

// end deletes objects as DeleteAll says: first ApiTokens, and providers when no ApiToken
// waits for them. When both are gone, it releases the Secrets that they held.
func (d *drain) end(ctx context.Context, s *survey) error {
	if d.DeleteAll {
		if err := d.deleteTokens(ctx, s); err != nil {
			return err
		}
		if len(s.tokens) == 0 {
			if err := d.deleteProviders(ctx, s); err != nil {
				return err
			}
		}
	}
	var others []account.Object
	s.providers = slices.DeleteFunc(s.providers, func(o account.Object) bool {
		other := !o.Deleting() && !d.inScope(o)
		if other {
			others = append(others, o)
		}
		return other
	})
	s.secrets = slices.DeleteFunc(s.secrets, func(m metav1.PartialObjectMetadata) bool { return d.needed(&m, others) })
	if len(s.tokens) > 0 || len(s.providers) > 0 {
		return nil
	}
	var errs []error
	for i := range s.secrets {
		errs = append(errs, d.release(ctx, &s.secrets[i]))
	}
	return errors.Join(errs...)
}

func (d *drain) deleteTokens(ctx context.Context, s *survey) error {
	var errs []error
	for _, t := range slices.Concat(s.tokens, s.bare) {
		if t.DeletionTimestamp.IsZero() {
			errs = append(errs, d.delete(ctx, &t, "ApiToken "+t.Namespace+"/"+t.Name))
		}
	}
	return errors.Join(errs...)
}

func (d *drain) deleteProviders(ctx context.Context, s *survey) error {
	var errs []error
	for _, o := range s.providers {
		if !o.Deleting() && d.inScope(o) {
			errs = append(errs, d.delete(ctx, o.Raw, o.Key().String()))
		}
	}
	return errors.Join(errs...)
}

func (d *drain) delete(ctx context.Context, o client.Object, called string) error {
	uid := o.GetUID()
	err := client.IgnoreNotFound(d.client.Delete(ctx, o, client.Preconditions{UID: &uid}))
	if err != nil {
		return fmt.Errorf("deleting %s: %w", called, err)
	}
	return nil
}

// needed reports whether a provider that this drain leaves alone uses a Secret. Only a
// drain of a list of namespaces leaves providers alone.
func (d *drain) needed(m *metav1.PartialObjectMetadata, left []account.Object) bool {
	return slices.ContainsFunc(left, func(o account.Object) bool {
		return o.CredentialsKey(d.Operator.Namespace) == client.ObjectKeyFromObject(m)
	})
}

// release removes the finalizer and the label of a Secret that no provider names any more.
func (d *drain) release(ctx context.Context, m *metav1.PartialObjectMetadata) error {
	finalizers := slices.DeleteFunc(slices.Clone(m.Finalizers), func(f string) bool { return f == v1alpha1.Finalizer })
	metadata := map[string]any{"resourceVersion": m.ResourceVersion, "uid": m.UID, "finalizers": finalizers}
	if m.Labels[v1alpha1.LabelManaged] == account.ManagedCredentials {
		metadata["labels"] = map[string]any{v1alpha1.LabelManaged: nil}
	}
	body, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return fmt.Errorf("encoding a patch: %w", err)
	}
	err = client.IgnoreNotFound(d.client.Patch(ctx, m.DeepCopy(), client.RawPatch(types.MergePatchType, body)))
	if err != nil {
		return fmt.Errorf("releasing Secret %s/%s: %w", m.Namespace, m.Name, err)
	}
	return nil
}
