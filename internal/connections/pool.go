package connections

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/internal/transport"
	"apitoken.dev/operator/internal/trim"
)

// connectTimeout bounds one attempt to connect, for all who wait for it.
const connectTimeout = 30 * time.Second

// Options of a Pool.
type Options struct {
	// Reader is the cache: providers in full, Secrets and Namespaces as metadata.
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
	// HTTP makes the clients that carry them; with the defaults of package transport
	// when nil.
	HTTP *transport.Factory
	// Clock is the computer's when nil.
	Clock clock.Clock
	// Rate is how many calls a second one provider gets, whoever makes them;
	// DefaultRate when 0, as many as there are when negative.
	Rate float64
	// Burst is how many calls it gets at once after a rest; DefaultBurst when 0.
	Burst int
	// Audit is where every call that changes something at a provider is written to;
	// nowhere when nil.
	Audit *audit.Log
	// NoUpdates takes from every driver the power to change a credential in place.
	NoUpdates bool
	// MintWait is the longest that a Mint or an Update waits for its turn; one that
	// would wait longer is not sent.
	// DefaultMintWait when 0.
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
		o.Rate = DefaultRate
	}
	if o.Burst <= 0 {
		o.Burst = DefaultBurst
	}
	if o.MintWait <= 0 {
		o.MintWait = DefaultMintWait
	}
	return o
}

// Connection is a checked client of one account.
type Connection struct {
	// Client keeps to the provider's pace: it waits for its turn, and sends nothing
	// while the provider asked for a pause. It is a provider.Updater, Counter or
	// Prober exactly when the driver's own client is.
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

// Pool keeps one connection per provider. It is safe for concurrent use.
type Pool struct {
	o       Options
	mu      sync.Mutex
	kept    map[account.Key]*kept
	gates   map[account.Key]*gate
	flights map[attempt]*flight
	// watchers are told of trouble with the providers of a kind.
	watchers map[v1alpha1.ProviderKind]func(key account.Key, suspect bool)
	accounts *accounts
}

// version is what a connection was made from: another one needs another connection.
type version struct {
	uid        types.UID
	generation int64
	secret     string // resourceVersion; empty when the cache does not hold the Secret
}

type kept struct {
	version
	credentials map[string]provider.Value
	connection  Connection
}

// attempt identifies what several callers may share.
type attempt struct {
	key account.Key
	version
	again bool
}

type flight struct {
	done       chan struct{}
	connection Connection
	err        error
}

// NewPool returns an empty Pool.
func NewPool(o Options) *Pool {
	return &Pool{o: o.withDefaults(), kept: map[account.Key]*kept{}, gates: map[account.Key]*gate{}, flights: map[attempt]*flight{},
		watchers: map[v1alpha1.ProviderKind]func(account.Key, bool){}, accounts: newAccounts()}
}

// Connect returns the kept connection. If there is none, or the provider or its
// credentials changed, it reads the credentials live and connects. Nothing is sent
// without a place at the provider, and the connection works for as long as its
// caller has that place. If the provider's status does not record its endpoint as
// verified, nothing is sent, with account.ErrEndpointUnverified. An error is a
// *provider.Error or a *MissingCredentialsError.
func (p *Pool) Connect(ctx context.Context, key account.Key, place *places.Place) (Connection, error) {
	return p.connect(ctx, key, place, request{})
}

// Check is Connect for the controller of providers, which verifies endpoints: whatever
// the status records, it connects. Its client only reads. With again it connects even
// if there is a connection, which checks the credentials and ends a suspicion. What it
// returns replaces the kept connection; an error leaves that as it is.
func (p *Pool) Check(ctx context.Context, key account.Key, place *places.Place, again bool) (Connection, error) {
	return p.connect(ctx, key, place, request{unverified: true, again: again})
}

// request says how to connect.
type request struct {
	// unverified: the endpoint need not be verified, and the client only reads.
	unverified bool
	// again: even if there is a connection.
	again bool
}

// Forget drops the kept connection, so that the next one is made from the
// credentials as they are then.
func (p *Pool) Forget(key account.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.kept, key)
}

func (p *Pool) connect(ctx context.Context, key account.Key, place *places.Place, how request) (Connection, error) {
	if err := place.Check(key.String()); err != nil {
		return Connection{}, noPlace(err)
	}
	shared, g, err := p.shared(ctx, key, how)
	if err != nil {
		return Connection{}, err
	}
	l := &lane{gate: g, place: place, reads: how.unverified}
	l.still = func(ctx context.Context) error { return p.still(ctx, key, shared.Endpoint) }
	shared.Client = guard(shared.Client, l)
	return shared, nil
}

// shared returns the connection that all callers share. Its client does not keep
// to the provider's pace: only connect may use it.
func (p *Pool) shared(ctx context.Context, key account.Key, how request) (Connection, *gate, error) {
	o, err := account.Get(ctx, p.o.Reader, key)
	if err != nil {
		return Connection{}, nil, notRead(key.String(), err)
	}
	if !how.unverified {
		if err := p.verified(ctx, o); err != nil {
			return Connection{}, nil, err
		}
	}
	secret, err := p.cachedSecretVersion(ctx, o)
	if err != nil {
		return Connection{}, nil, err
	}
	a := attempt{key: key, again: how.again, version: version{uid: o.GetUID(), generation: o.GetGeneration(), secret: secret}}
	p.mu.Lock()
	g := p.gate(o)
	if k, ok := p.kept[key]; ok && !how.again && k.serves(a.version) {
		p.mu.Unlock()
		return k.connection.of(o), g, nil
	}
	f, running := p.flights[a]
	if !running {
		f = &flight{done: make(chan struct{})}
		p.flights[a] = f
		go p.fly(context.WithoutCancel(ctx), o, g, a, f)
	}
	p.mu.Unlock()
	select {
	case <-f.done:
		return f.connection.of(o), g, f.err
	case <-ctx.Done():
		return Connection{}, nil, stopped(ctx.Err())
	}
}

// of returns the connection with the account as a provider records it.
func (c Connection) of(o account.Object) Connection {
	c.Account = o.Recorded(c.Account)
	return c
}

// fly makes one attempt. It outlives the caller who began it, because others may wait too.
func (p *Pool) fly(ctx context.Context, o account.Object, g *gate, a attempt, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	made, err := p.dial(ctx, o, g, a.again)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		f.connection = made.connection
	}
	if p.gates[a.key] == g { // the provider was not dropped in between
		p.keep(a, made)
	}
	f.err = err
	delete(p.flights, a)
	close(f.done)
}

// keep notes how an attempt ended; made is nil after a failed one. The lock is held.
func (p *Pool) keep(a attempt, made *kept) {
	if made == nil {
		p.accounts.tried(a.key, a.uid, nil)
		return
	}
	p.kept[a.key] = made
	p.accounts.tried(a.key, a.uid, &made.connection)
}

// dial reads the credentials live and connects, unless the same credentials are connected already.
func (p *Pool) dial(ctx context.Context, o account.Object, g *gate, again bool) (*kept, error) {
	driver, settings, err := p.resolve(o, func(ctx context.Context) error {
		return g.enter(ctx, opList, caller{patience: sweepPatience})
	})
	if err != nil {
		return nil, noDriver(o.Key())
	}
	cfg := p.config(settings)
	field, bundle := o.Spec.CABundle()
	if cfg.HTTP, err = p.o.HTTP.Client(transport.Provider{Tenant: o.Kind == v1alpha1.KindTokenProvider, Field: field, CABundle: bundle}); err != nil {
		return nil, err
	}
	made := &kept{version: version{uid: o.GetUID(), generation: o.GetGeneration()}}
	made.connection.DriverType, made.connection.Endpoint = driver.Type(), account.EndpointOf(ctx, driver, cfg)
	made.connection.Capabilities = driver.Capabilities()
	if cfg.Credentials, made.secret, err = p.credentials(ctx, o, driver); err != nil {
		return nil, err
	}
	made.credentials = cfg.Credentials
	if same := p.unchanged(o.Key(), made); same != nil && !again {
		made.connection = *same
		return made, nil
	}
	inner, account, err := g.connect(ctx, driver, cfg, again)
	if err != nil {
		return nil, err
	}
	made.connection.Client, made.connection.Account = inner, account
	made.connection.AccountKey, made.connection.MinterKey = p.accounts.keys(ctx, o, driver, cfg, account.ID)
	return made, nil
}

// sweepPatience is how long one request of the list of a whole cluster waits for its turn.
const sweepPatience = time.Hour

// resolve returns the driver of a provider, bounded, with its settings. This is the
// only place that takes a driver from the registry: no call can go around the limits.
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

// owner is whose answers a provider's are: those of all TokenProviders of a namespace
// are one owner's.
func owner(key account.Key) string {
	if key.Namespace != "" {
		return key.Namespace
	}
	return key.String()
}

// errPanicked says in the log that a driver panicked.
var errPanicked = errors.New("panic")

// unchanged returns the kept connection if it was made from the same provider and credentials.
func (p *Pool) unchanged(key account.Key, now *kept) *Connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, ok := p.kept[key]
	if !ok || k.uid != now.uid || k.generation != now.generation || !maps.EqualFunc(k.credentials, now.credentials, provider.Value.Equal) {
		return nil
	}
	return &k.connection
}

// serves reports whether the connection is good for what the cache shows. The
// cache may lag behind the Secret that was read live, so only a newer one counts.
func (k *kept) serves(v version) bool {
	if k.uid != v.uid || k.generation != v.generation {
		return false
	}
	return v.secret == "" || v.secret == k.secret || trim.Older(v.secret, k.secret)
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
