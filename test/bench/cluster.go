package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/test/support/fake"
)

// The namespaces of the two sides. Their names have the same length, so that objects have too.
const (
	mintedNamespace = "bench-minted"
	floorNamespace  = "bench-direct"
)

// providerName is the ClusterTokenProvider of all tokens.
const providerName = "object-store"

func newScheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(s), v1alpha1.AddToScheme(s)); err != nil {
		return nil, fmt.Errorf("registering kinds: %w", err)
	}
	return s, nil
}

// newClient returns a client without a cache: each call is a request.
func newClient(cfg *rest.Config) (client.Client, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return c, nil
}

// user declares ApiTokens. Its requests are counted for neither side.
type user struct {
	client.Client
	concurrency int
}

// prepare creates the namespaces and the provider.
func (u user) prepare(ctx context.Context) error {
	labels := map[string]string{"tokens": "allowed"}
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operator.DefaultNamespace}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: mintedNamespace, Labels: labels}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: floorNamespace, Labels: labels}},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: operator.DefaultNamespace, Name: providerName + "-minter"},
			Data:       map[string][]byte{fake.TokenKey: []byte("the in-memory provider takes any")},
		},
		&v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: providerName}, Spec: v1alpha1.ClusterProviderSpec{
			AllowedNamespaces: &metav1.LabelSelector{MatchLabels: labels},
			ProviderSpec: v1alpha1.ProviderSpec{
				CredentialsSecretRef: v1alpha1.SecretReference{Name: providerName + "-minter"},
				AWS:                  &v1alpha1.AWSProvider{Region: "us-east-1"},
			},
		}},
	}
	for _, o := range objects {
		if err := u.Create(ctx, o); err != nil {
			return fmt.Errorf("preparing the cluster: %w", err)
		}
	}
	return nil
}

// providerReady waits until the operator has checked the provider.
func (u user) providerReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		p := &v1alpha1.ClusterTokenProvider{}
		if err := u.Get(ctx, client.ObjectKey{Name: providerName}, p); err != nil {
			return fmt.Errorf("waiting for the ClusterTokenProvider: %w", err)
		}
		if meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionReady) {
			return nil
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("the ClusterTokenProvider is not Ready (-v shows the operator's log): %w", err)
		}
	}
}

// declaration returns an ApiToken as a team declares it; see config/samples.
func declaration(namespace, name string) *v1alpha1.ApiToken {
	return &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1alpha1.ApiTokenSpec{
		ProviderRef: v1alpha1.ProviderReference{Kind: v1alpha1.KindClusterTokenProvider, Name: providerName},
		Description: "nightly training",
		Scopes:      []v1alpha1.Scope{"objectstorage:object-read-write"},
		Buckets:     []v1alpha1.Bucket{"datasets"},
	}}
}

// declare creates ApiTokens and returns them as the API server answered.
func (u user) declare(ctx context.Context, namespace string, names []string) ([]*v1alpha1.ApiToken, error) {
	tokens := make([]*v1alpha1.ApiToken, len(names))
	err := parallel(ctx, u.concurrency, len(names), func(ctx context.Context, i int) error {
		tokens[i] = declaration(namespace, names[i])
		return u.Create(ctx, tokens[i])
	})
	if err != nil {
		return nil, fmt.Errorf("declaring ApiTokens: %w", err)
	}
	return tokens, nil
}

// rotate asks for new credentials.
func (u user) rotate(ctx context.Context, names []string, generation int64) error {
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"rotation":{"generation":%d}}}`, generation))
	err := parallel(ctx, u.concurrency, len(names), func(ctx context.Context, i int) error {
		return u.Patch(ctx, &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: mintedNamespace, Name: names[i]}}, patch)
	})
	if err != nil {
		return fmt.Errorf("raising spec.rotation.generation: %w", err)
	}
	return nil
}

// check reads every ApiToken from the API server: all must be Ready, with the given
// number of credentials in the ledger.
func (u user) check(ctx context.Context, names []string, credentials int) error {
	var all v1alpha1.ApiTokenList
	if err := u.List(ctx, &all, client.InNamespace(mintedNamespace)); err != nil {
		return fmt.Errorf("checking the ApiTokens: %w", err)
	}
	if len(all.Items) != len(names) {
		return fmt.Errorf("there are %d ApiTokens, want %d", len(all.Items), len(names))
	}
	for i := range all.Items {
		if t := &all.Items[i]; !done(t) || len(t.Status.Credentials) != credentials {
			return fmt.Errorf("ApiToken %s must be Ready and have %d credentials: %+v", t.Name, credentials, t.Status)
		}
	}
	return nil
}

// parallel calls f for 0 to n-1, with the given number of workers, and returns the first error.
func parallel(ctx context.Context, workers, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(workers, n) {
		wg.Go(func() {
			for i := range next {
				if err := f(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		next <- i
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}
