// Package connections caches one connection per provider, shared by all callers, and
// gathers from caches what is known about a provider.
package connections

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/singleflight"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/pacing"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/internal/transport"
	"apitoken.dev/operator/internal/trim"
)

// Options of a Pool.
type Options struct {
	// Reader is the cache, which has providers in full, and Secrets and Namespaces as
	// metadata.
	Reader client.Reader
	// Live reads the API server itself.
	Live     client.Reader
	Registry *registry.Registry
	// Namespace of the operator, where a ClusterTokenProvider's credentials are.
	Namespace string
	// Cluster is the identity hash of this cluster; see package credname.
	Cluster string
	// UserAgent of requests to providers.
	UserAgent string
	// HTTP creates the HTTP clients of the drivers; nil: clients with the defaults of package
	// transport.
	HTTP *transport.Factory
	// Clock; nil: the system clock.
	Clock clock.Clock
	// Rate is the number of calls per second to one provider, by all callers together;
	// 0: pacing.DefaultRate; unlimited when negative.
	Rate float64
	// Burst is the number of calls that may go at once after an idle time; 0:
	// pacing.DefaultBurst.
	Burst int
	// Audit receives every call that changes something at a provider; nil: none.
	Audit *audit.Log
	// NoUpdates makes the operator replace credentials that it could change in place.
	NoUpdates bool
	// MintWait is the longest that the rate limit may delay a Mint or an Update. A call that
	// would be delayed longer is not sent. 0: pacing.DefaultMintWait.
	MintWait time.Duration
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.NewReal()
	}
	if o.HTTP == nil {
		o.HTTP = transport.New(transport.Options{})
	}
	if o.Rate == 0 {
		o.Rate = pacing.DefaultRate
	}
	if o.Burst <= 0 {
		o.Burst = pacing.DefaultBurst
	}
	if o.MintWait <= 0 {
		o.MintWait = pacing.DefaultMintWait
	}
	return o
}

// Connection is a client of one account, whose credentials were checked.
type Connection struct {
	// Client is rate-limited, and sends nothing while the provider asked for a pause. It
	// has the optional interfaces of the driver's own client, and no others; see provider.As.
	Client  provider.Client
	Account provider.Account
	// AccountKey is the account among all providers; MinterKey adds the credentials.
	AccountKey account.Identity
	MinterKey  account.MinterIdentity
	DriverType string
	// Endpoint that the client sends its requests to.
	Endpoint account.Endpoint
	// Capabilities of the driver.
	Capabilities provider.Capabilities
}

// Pool caches one connection per provider. It is safe for concurrent use.
type Pool struct {
	o     Options
	mu    sync.Mutex
	cache map[account.Key]*cached
	gates map[account.Key]gate
	// attempts lets concurrent callers share one attempt to connect.
	attempts singleflight.Group
	// watchers are called after each failed call to a provider of a kind.
	watchers map[v1alpha1.ProviderKind]func(key account.Key, unhealthy bool)
	accounts *accounts
}

// gate is the gate of the provider with this UID.
type gate struct {
	uid types.UID
	*pacing.Gate
}

// version is what a connection was made from. Another version needs a new connection.
type version struct {
	uid        types.UID
	generation int64
	secret     string // resourceVersion; empty when the cache does not have the Secret
}

// cached is a connection with what it was made from.
type cached struct {
	version
	credentials map[string]provider.Value
	connection  Connection
}

// attempt identifies an attempt to connect. Callers with an equal value share the attempt.
type attempt struct {
	key account.Key
	version
	healthCheck bool
}

// String returns a text that is different for different attempts.
func (a attempt) String() string {
	return fmt.Sprintf("%q %q %d %q %t", a.key.String(), a.uid, a.generation, a.secret, a.healthCheck)
}

// NewPool returns an empty Pool.
func NewPool(o Options) *Pool {
	return &Pool{o: o.withDefaults(), cache: map[account.Key]*cached{}, gates: map[account.Key]gate{},
		watchers: map[v1alpha1.ProviderKind]func(account.Key, bool){}, accounts: newAccounts()}
}

// Connect returns the cached connection. Without one, or if the provider or its credentials
// changed, it reads the credentials live and connects. Nothing is sent without a place at
// the provider, and the connection works only while its caller has that place. If the
// provider's status does not record its endpoint as verified, nothing is sent, with
// account.ErrEndpointUnverified. An error is a *provider.Error or a
// *MissingCredentialsError.
func (p *Pool) Connect(ctx context.Context, key account.Key, place *places.Place) (Connection, error) {
	return p.connect(ctx, key, place, request{})
}

// Check is Connect for the controller of providers, which verifies endpoints: it connects
// to the declared endpoint whether the status records it or not, and its client only
// reads. With healthCheck it connects even if a connection is cached, which checks the
// credentials and clears the unhealthy mark. A new connection replaces the cached one; after
// an error the cached one stays.
func (p *Pool) Check(ctx context.Context, key account.Key, place *places.Place, healthCheck bool) (Connection, error) {
	return p.connect(ctx, key, place, request{unverified: true, healthCheck: healthCheck})
}

// request says how to connect.
type request struct {
	// unverified: the endpoint need not be verified, and the client only reads.
	unverified bool
	// healthCheck: connect even if a connection is cached.
	healthCheck bool
}

// Forget drops the cached connection, so that the next one uses the current credentials.
func (p *Pool) Forget(key account.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.cache, key)
}

func (p *Pool) connect(ctx context.Context, key account.Key, place *places.Place, how request) (Connection, error) {
	if err := pacing.CheckPlace(place, key); err != nil {
		return Connection{}, err
	}
	shared, g, err := p.shared(ctx, key, how)
	if err != nil {
		return Connection{}, err
	}
	shared.Client = g.Client(shared.Client, pacing.Caller{Place: place, ReadOnly: how.unverified,
		Confirm: func(ctx context.Context) error { return p.stillVerified(ctx, key, shared.Endpoint) }})
	return shared, nil
}

// shared returns the connection that all callers share. Its client bypasses the gate, so
// only connect may use it.
func (p *Pool) shared(ctx context.Context, key account.Key, how request) (Connection, gate, error) {
	o, err := account.Get(ctx, p.o.Reader, key)
	if err != nil {
		return Connection{}, gate{}, notRead(key.String(), err)
	}
	if !how.unverified {
		if err := p.verified(ctx, o); err != nil {
			return Connection{}, gate{}, err
		}
	}
	secret, err := p.cachedSecretVersion(ctx, o)
	if err != nil {
		return Connection{}, gate{}, err
	}
	a := attempt{key: key, healthCheck: how.healthCheck, version: version{uid: o.GetUID(), generation: o.GetGeneration(), secret: secret}}
	g := p.gate(o)
	if c, ok := p.cached(a); ok {
		return c.connection.of(o), g, nil
	}
	result := p.attempts.DoChan(a.String(), func() (any, error) { return p.try(context.WithoutCancel(ctx), o, g, a) })
	select {
	case r := <-result:
		made, _ := r.Val.(Connection) // the zero Connection if there is an error
		return made.of(o), g, r.Err
	case <-ctx.Done():
		return Connection{}, gate{}, canceled(ctx.Err())
	}
}

// of returns the connection with the account as a provider records it.
func (c Connection) of(o account.Object) Connection {
	c.Account = o.Recorded(c.Account)
	return c
}

// cached returns the cached connection that an attempt can use.
func (p *Pool) cached(a attempt) (*cached, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.cache[a.key]
	return c, ok && !a.healthCheck && c.serves(a.version)
}

// try makes one attempt. It continues if the caller that started it stops waiting, because
// other callers can be waiting for it.
func (p *Pool) try(ctx context.Context, o account.Object, g gate, a attempt) (Connection, error) {
	if c, ok := p.cached(a); ok { // another attempt ended after the caller checked
		return c.connection, nil
	}
	ctx, cancel := context.WithTimeout(ctx, pacing.ConnectTimeout)
	defer cancel()
	made, err := p.dial(ctx, o, g, a.healthCheck)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gates[a.key] == g { // the provider was not dropped since
		p.store(a, made)
	}
	if err != nil {
		return Connection{}, err
	}
	return made.connection, nil
}

// store caches the result of an attempt; made is nil after a failed one. The lock is held.
func (p *Pool) store(a attempt, made *cached) {
	if made == nil {
		p.accounts.tried(a.key, a.uid, nil)
		return
	}
	p.cache[a.key] = made
	p.accounts.tried(a.key, a.uid, &made.connection)
}

// dial reads the credentials live and connects. Without healthCheck it returns the cached
// connection if the credentials are the same.
func (p *Pool) dial(ctx context.Context, o account.Object, g gate, healthCheck bool) (*cached, error) {
	driver, settings, err := p.resolve(o, g.Sweep)
	if err != nil {
		return nil, noDriver(o.Key())
	}
	cfg := p.config(settings)
	field, bundle := o.Spec.CABundle()
	if cfg.HTTP, err = p.o.HTTP.Client(transport.Provider{Tenant: o.Kind == v1alpha1.KindTokenProvider, Field: field, CABundle: bundle}); err != nil {
		return nil, err
	}
	made := &cached{version: version{uid: o.GetUID(), generation: o.GetGeneration()}}
	made.connection.DriverType, made.connection.Endpoint = driver.Type(), account.EndpointOf(ctx, driver, cfg)
	made.connection.Capabilities = driver.Capabilities()
	if cfg.Credentials, made.secret, err = p.credentials(ctx, o, driver); err != nil {
		return nil, err
	}
	made.credentials = cfg.Credentials
	if same := p.unchanged(o.Key(), made); same != nil && !healthCheck {
		made.connection = *same
		return made, nil
	}
	inner, of, err := g.Connect(ctx, driver, cfg, healthCheck)
	if err != nil {
		return nil, err
	}
	made.connection.Client, made.connection.Account = inner, of
	made.connection.AccountKey, made.connection.MinterKey = p.accounts.keys(ctx, o, driver, cfg, of.ID)
	return made, nil
}

// resolve returns the driver of a provider, bounded, with its settings. No other code
// takes a driver from the registry, so no call can bypass the limits.
func (p *Pool) resolve(o account.Object, pace func(context.Context) error) (provider.Driver, any, error) {
	driver, settings, err := p.o.Registry.Resolve(registry.Spec{ProviderSpec: o.Spec})
	if err != nil {
		return nil, nil, err
	}
	return bounded.Driver(driver, bounded.Options{Owner: owner(o.Key()), Pace: pace, Panicked: func(ctx context.Context, method, kind string, stack []byte) {
		logr.FromContextOrDiscard(ctx).Error(errPanicked, "a driver panicked; this is a bug", "driver", driver.Type(),
			"provider", o.Key().String(), "method", method, "with", kind, "stack", string(stack))
	}}), settings, nil
}

// owner is the owner of a provider's answers, see bounded.Options. All TokenProviders of
// a namespace have the same.
func owner(key account.Key) string {
	if key.Namespace != "" {
		return key.Namespace
	}
	return key.String()
}

// errPanicked is the error in the log entry of a driver's panic.
var errPanicked = errors.New("panic")

// unchanged returns the cached connection if it was made from the same provider and credentials.
func (p *Pool) unchanged(key account.Key, now *cached) *Connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.cache[key]
	if !ok || c.uid != now.uid || c.generation != now.generation || !maps.EqualFunc(c.credentials, now.credentials, provider.Value.Equal) {
		return nil
	}
	return &c.connection
}

// serves reports whether the connection can be used for the version that the cache
// shows. The cache may lag behind the Secret that was read live, so an older Secret is
// not a change.
func (c *cached) serves(v version) bool {
	if c.uid != v.uid || c.generation != v.generation {
		return false
	}
	return v.secret == "" || v.secret == c.secret || trim.Older(v.secret, c.secret)
}

func (p *Pool) cachedSecretVersion(ctx context.Context, o account.Object) (string, error) {
	if !o.HasCredentials() {
		return "", nil
	}
	found := metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	name := o.CredentialsKey(p.o.Namespace)
	if err := p.o.Reader.Get(ctx, name, &found); err != nil {
		if apierrors.IsNotFound(err) {
			return "", nil
		}
		return "", notRead(fmt.Sprintf("Secret %s", name), err)
	}
	return found.ResourceVersion, nil
}
