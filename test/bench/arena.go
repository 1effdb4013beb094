package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/testenv"
)

// arena is an API server with an operator as shipped, including its pacing, and
// providers of several kinds.
type arena struct {
	user
	settings   settings
	env        *testenv.Env
	slow, dead *hung
	drivers    *registry.Registry
	stop       func() error
}

// hung is a provider that never answers one verb.
type hung struct {
	*fake.Backend
	waiting atomic.Int64
}

func newHung(verb fake.Verb) *hung {
	h := &hung{Backend: fake.NewBackend(clock.NewReal())}
	h.OnCall = func(ctx context.Context, c fake.Call) fake.Fault {
		if c.Verb == verb && c.Phase == fake.Before {
			h.waiting.Add(1)
			<-ctx.Done()
			h.waiting.Add(-1)
		}
		return fake.Fault{}
	}
	return h
}

// hangs waits until n calls hang.
func (h *hung) hangs(ctx context.Context, n int64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for h.waiting.Load() < n {
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("%d calls hang, want %d: %w", h.waiting.Load(), n, err)
		}
	}
	return nil
}

// typed is a driver with a type of its own.
type typed struct {
	*fake.Driver
	name string
}

// Type implements provider.Driver.
func (d typed) Type() string { return d.name }

// newArena starts the API server, creates what every load needs, and runs the
// operator without pacing, for the preparation.
func newArena(ctx context.Context, s settings) (a *arena, stop func() error, err error) {
	env, stopEnv, err := testenv.StartMain()
	if err != nil {
		return nil, nil, err
	}
	a = &arena{settings: s, env: env, slow: newHung(fake.Mint), dead: newHung(fake.Connect)}
	stop = func() error {
		defer stopEnv()
		if a.stop == nil {
			return nil
		}
		return a.stop()
	}
	if err := a.prepare(ctx); err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	return a, stop, nil
}

func (a *arena) prepare(ctx context.Context) (err error) {
	var uncounted traffic
	if a.Client, err = newClient(uncounted.configure(a.env.Config, "bench-user")); err != nil {
		return err
	}
	a.concurrency = a.settings.concurrency
	entries := []registry.Entry{{Driver: typed{fake.New(a.slow.Backend), "slow"}, Settings: ofRegion("slow")},
		{Driver: typed{fake.New(a.dead.Backend), "dead"}, Settings: ofRegion("dead")}}
	for _, region := range []string{"own", "other", "victims"} {
		entries = append(entries, registry.Entry{Driver: typed{fake.New(fake.NewBackend(clock.NewReal())), region}, Settings: ofRegion(region)})
	}
	if a.drivers, err = registry.New(entries...); err != nil {
		return fmt.Errorf("registering the in-memory providers: %w", err)
	}
	for _, name := range []string{operator.DefaultNamespace, "load", "victim"} {
		if err := a.namespace(ctx, name); err != nil {
			return err
		}
	}
	for _, region := range []string{"slow", "own", "other", "victims"} {
		if err := a.clusterProvider(ctx, region); err != nil {
			return err
		}
	}
	return a.restart(ctx, -1)
}

// ofRegion selects the providers of a region, which stands for a kind of provider here.
func ofRegion(region string) func(registry.Spec) (any, bool) {
	return func(s registry.Spec) (any, bool) { return nil, s.AWS != nil && s.AWS.Region == region }
}

// restart starts the operator with a request rate, and waits until its providers are Ready.
func (a *arena) restart(ctx context.Context, rate float64) error {
	if a.stop != nil {
		if err := a.stop(); err != nil {
			return err
		}
	}
	mgr, err := operator.New(ctx, a.env.Config, operator.Options{
		Registry: a.drivers, Logger: a.settings.logger(), Version: "bench", ProviderRate: rate, Shutdown: time.Second,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	a.stop = sync.OnceValue(func() error {
		cancel()
		if err := <-ended; ctx.Err() == nil {
			return err
		}
		return nil // hanging calls were cut off, which is expected
	})
	for _, region := range []string{"slow", "own", "other", "victims"} {
		p := &v1alpha1.ClusterTokenProvider{}
		if err := a.until(ctx, "", region, p, func() []metav1.Condition { return p.Status.Conditions }); err != nil {
			return err
		}
	}
	return nil
}

func (a *arena) namespace(ctx context.Context, name string) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"tokens": "allowed"}}}
	if err := a.Create(ctx, ns); err != nil {
		return fmt.Errorf("making a namespace: %w", err)
	}
	return nil
}

func minter(namespace, name string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name + "-minter"},
		Data: map[string][]byte{fake.TokenKey: []byte("the in-memory provider takes any")}}
}

func providerOf(name, region string) v1alpha1.ProviderSpec {
	return v1alpha1.ProviderSpec{CredentialsSecretRef: v1alpha1.SecretReference{Name: name + "-minter"}, AWS: &v1alpha1.AWSProvider{Region: region}}
}

// clusterProvider creates a ClusterTokenProvider with the name of its region.
func (a *arena) clusterProvider(ctx context.Context, region string) error {
	return errors.Join(a.Create(ctx, minter(operator.DefaultNamespace, region)),
		a.Create(ctx, &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: region}, Spec: v1alpha1.ClusterProviderSpec{
			AllowedNamespaces: &metav1.LabelSelector{}, ProviderSpec: providerOf(region, region)}}))
}

func (a *arena) tokenProvider(ctx context.Context, namespace, name, region string) error {
	return errors.Join(a.Create(ctx, minter(namespace, name)),
		a.Create(ctx, &v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: providerOf(name, region)}))
}

func (a *arena) tokenProviders(ctx context.Context, namespace, region string, n int) error {
	for i := range n {
		if err := a.tokenProvider(ctx, namespace, fmt.Sprintf("%s-%d", region, i), region); err != nil {
			return err
		}
	}
	return nil
}

// declare declares ApiTokens at the ClusterTokenProvider of a region.
func (a *arena) declare(ctx context.Context, region string, n int) error {
	return parallel(ctx, a.concurrency, n, func(ctx context.Context, i int) error {
		t := declaration("load", fmt.Sprintf("t-%04d", i))
		t.Spec.ProviderRef.Name = region
		return a.Create(ctx, t)
	})
}

// issued waits until all ApiTokens of a namespace are Ready.
func (a *arena) issued(ctx context.Context, namespace string) error {
	var all v1alpha1.ApiTokenList
	if err := a.List(ctx, &all, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("listing the ApiTokens of the load: %w", err)
	}
	for i := range all.Items {
		t := &all.Items[i]
		if err := a.until(ctx, namespace, t.Name, t, func() []metav1.Condition { return t.Status.Conditions }); err != nil {
			return err
		}
	}
	return nil
}

// left counts the objects of the load that are neither Ready nor deleted.
func (a *arena) left(ctx context.Context) (n int, err error) {
	var tokens v1alpha1.ApiTokenList
	var providers v1alpha1.TokenProviderList
	if err := errors.Join(a.List(ctx, &tokens), a.List(ctx, &providers)); err != nil {
		return 0, fmt.Errorf("listing what is left of the load: %w", err)
	}
	for i := range tokens.Items {
		if t := &tokens.Items[i]; !t.DeletionTimestamp.IsZero() || !meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionReady) {
			n++
		}
	}
	for i := range providers.Items {
		if !meta.IsStatusConditionTrue(providers.Items[i].Status.Conditions, v1alpha1.ConditionReady) {
			n++
		}
	}
	return n, nil
}
