package bounded_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
)

// canary is a secret that no error and no report may contain.
const canary = "CANARY-value"

// noContext is for the methods that have none.
var noContext context.Context

// odd is a driver and a client whose calls do what a test says.
type odd struct {
	account provider.Account
	do      func(ctx context.Context) error
	made    provider.Minted
	found   []provider.Credential
	changed provider.Credential
	// refs are the arguments of the calls.
	refs []provider.Ref
}

func (o *odd) act(ctx context.Context) error {
	if o.do == nil {
		return nil
	}
	return o.do(ctx)
}

func (*odd) Type() string                        { return "odd" }
func (*odd) Capabilities() provider.Capabilities { return provider.Capabilities{} }

func (o *odd) Connect(ctx context.Context, _ provider.Config) (provider.Client, provider.Account, error) {
	return o, o.account, o.act(ctx)
}

func (o *odd) Validate(provider.Config, provider.MintRequest) error {
	return o.act(noContext)
}

func (o *odd) Connection(provider.Config, provider.Grant) map[string]string {
	_ = o.act(noContext)
	return map[string]string{"endpoint": "x"}
}

func (o *odd) Form(provider.Config, provider.MintRequest) (provider.Form, bool) {
	_ = o.act(noContext)
	return provider.Form{Where: "there"}, true
}

func (o *odd) KeyID(secret map[string]provider.Value) string {
	_ = o.act(noContext)
	return secret["id"].Reveal()
}

func (o *odd) Server(ctx context.Context, _ provider.Config) provider.Server {
	_ = o.act(ctx)
	return provider.Server{Host: "h"}
}

func (o *odd) CredentialKeys() []string {
	_ = o.act(noContext)
	return []string{"token"}
}

func (o *odd) Mint(ctx context.Context, _ provider.MintRequest) (provider.Minted, error) {
	return o.made, o.act(ctx)
}

func (o *odd) Find(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
	o.refs = append(o.refs, ref)
	return o.found, o.act(ctx)
}

func (o *odd) List(ctx context.Context, _ provider.Owner) iter.Seq2[provider.Credential, error] {
	return func(yield func(provider.Credential, error) bool) {
		for _, c := range o.found {
			if !yield(c, nil) {
				return
			}
		}
		if err := o.act(ctx); err != nil {
			yield(provider.Credential{}, err)
		}
	}
}

func (o *odd) Revoke(ctx context.Context, ref provider.Ref) error {
	o.refs = append(o.refs, ref)
	return o.act(ctx)
}

func (o *odd) Update(ctx context.Context, ref provider.Ref, _ provider.MintRequest) (provider.Credential, error) {
	o.refs = append(o.refs, ref)
	return o.changed, o.act(ctx)
}

func (o *odd) Occupied(ctx context.Context) ([]provider.Credential, error) {
	return o.found, o.act(ctx)
}

func (o *odd) Accepts(ctx context.Context, _ map[string]provider.Value, _ provider.Grant) (bool, error) {
	return true, o.act(ctx)
}

// good is an answer that passes every check.
func good() *odd {
	shown := provider.Credential{Name: "at1-name", ID: "AKIA1", State: provider.Live}
	return &odd{
		account: provider.Account{ID: "123@host", GrantableScopes: []string{"a:b"}},
		made:    provider.Minted{Credential: shown, Secret: map[string]provider.Value{"token": provider.NewValue(canary)}},
		found:   []provider.Credential{shown}, changed: shown,
	}
}

// calls are all calls of a driver and of its clients that reach a provider.
var calls = map[string]func(ctx context.Context, d provider.Driver, c provider.Client) error{
	"Connect": func(ctx context.Context, d provider.Driver, _ provider.Client) error {
		_, _, err := d.Connect(ctx, provider.Config{})
		return err
	},
	"Mint": func(ctx context.Context, _ provider.Driver, c provider.Client) error {
		_, err := c.Mint(ctx, provider.MintRequest{Name: "at1-name"})
		return err
	},
	"Find": func(ctx context.Context, _ provider.Driver, c provider.Client) error {
		_, err := c.Find(ctx, provider.Ref{Name: "at1-name"})
		return err
	},
	"List": func(ctx context.Context, _ provider.Driver, c provider.Client) error {
		return last(c.List(ctx, provider.Owner{Token: "t"}))
	},
	"List of a sweep": func(ctx context.Context, _ provider.Driver, c provider.Client) error {
		return last(c.List(ctx, provider.Owner{}))
	},
	"Revoke": func(ctx context.Context, _ provider.Driver, c provider.Client) error {
		return c.Revoke(ctx, provider.Ref{Name: "at1-name"})
	},
	"Update": func(ctx context.Context, _ provider.Driver, c provider.Client) error {
		_, err := c.(provider.Updater).Update(ctx, provider.Ref{Name: "at1-name"}, provider.MintRequest{})
		return err
	},
	"Occupied": func(ctx context.Context, _ provider.Driver, c provider.Client) error {
		_, err := c.(provider.Counter).Occupied(ctx)
		return err
	},
	"Accepts": func(ctx context.Context, _ provider.Driver, c provider.Client) error {
		_, err := c.(provider.Prober).Accepts(ctx, nil, provider.Grant{})
		return err
	},
}

func last(all iter.Seq2[provider.Credential, error]) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestValidAnswersPass(t *testing.T) {
	o := good()
	for name, call := range calls {
		if err := call(t.Context(), bounded.Driver(o, bounded.Options{}), bounded.Client(o, bounded.Options{})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPanicIsAnErrorInDoubt(t *testing.T) {
	o := good()
	o.do = func(context.Context) error { panic(canary) }
	for name, call := range calls {
		var method, kind, stack string
		options := bounded.Options{Panicked: func(_ context.Context, m, k string, s []byte) { method, kind, stack = m, k, string(s) }}
		err := call(t.Context(), bounded.Driver(o, options), bounded.Client(o, options))
		e := provider.AsError(err)
		if e.Code != provider.CodeUnknown || !provider.InDoubt(err) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.HasPrefix(name, method) || kind != "string" || !strings.Contains(stack, "bounded_test.go") || strings.Contains(stack, canary) {
			t.Errorf("%s: reported %q, %q and %s", name, method, kind, stack)
		}
	}
}

// TestPanicsInMethodsWithoutIOAreRecovered: the methods that do no I/O get the declarations of tenants.
func TestPanicsInMethodsWithoutIOAreRecovered(t *testing.T) {
	o := good()
	o.do = func(context.Context) error { panic(canary) }
	d := bounded.Driver(o, bounded.Options{})
	if err := d.(provider.Validator).Validate(provider.Config{}, provider.MintRequest{}); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("Validate: %v", err)
	}
	if got := d.(provider.Connector).Connection(provider.Config{}, provider.Grant{}); got != nil {
		t.Errorf("Connection: %v", got)
	}
	if _, ok := d.(provider.Manual).Form(provider.Config{}, provider.MintRequest{}); ok {
		t.Error("a Form that panicked is used")
	}
	if got := d.(provider.Manual).KeyID(nil); got != "" {
		t.Errorf("KeyID: %q", got)
	}
	if got := d.(provider.Located).Server(t.Context(), provider.Config{}); got != (provider.Server{Declared: true}) {
		t.Errorf("Server: %+v", got)
	}
	if got := d.(provider.CredentialKeyer).CredentialKeys(); got != nil {
		t.Errorf("CredentialKeys: %v", got)
	}
}

// TestInvalidKeyIDIsDropped: an id from a key is checked like any other answer.
func TestInvalidKeyIDIsDropped(t *testing.T) {
	d := bounded.Driver(good(), bounded.Options{}).(provider.Manual)
	for id, want := range map[string]string{"AKIA1": "AKIA1", "..": "", "a/b": "", "": ""} {
		if got := d.KeyID(map[string]provider.Value{"id": provider.NewValue(id)}); got != want {
			t.Errorf("%q: got %q", id, got)
		}
	}
}

// TestPanicOfAConsumerIsNotRecovered: a panic of a consumer of List is not reported as the driver's.
func TestPanicOfAConsumerIsNotRecovered(t *testing.T) {
	defer func() {
		if r := recover(); r != "mine" {
			t.Errorf("recovered %v", r)
		}
	}()
	for _, err := range bounded.Client(good(), bounded.Options{}).List(t.Context(), provider.Owner{}) {
		if err == nil {
			panic("mine")
		}
	}
}

func TestOptionalInterfacesAreThoseOfTheWrapped(t *testing.T) {
	plain := struct{ provider.Client }{good()}
	c := bounded.Client(plain, bounded.Options{})
	_, updates := provider.As[provider.Updater](c)
	_, counts := provider.As[provider.Counter](c)
	_, probes := provider.As[provider.Prober](c)
	if updates || counts || probes {
		t.Error("a client got optional interfaces that it does not have")
	}
	d := bounded.Driver(struct{ provider.Driver }{good()}, bounded.Options{})
	if _, ok := d.(provider.CredentialKeyer); ok {
		t.Error("a driver names keys that it does not have")
	}
	if err := d.(provider.Validator).Validate(provider.Config{}, provider.MintRequest{}); err != nil {
		t.Errorf("Validate without the power: %v", err)
	}
}

// TestCallsEndAtTheirDeadline: a call to a provider that never answers ends at the deadline of the call,
// even if the caller set none.
func TestCallsEndAtTheirDeadline(t *testing.T) {
	limits := map[string]time.Duration{"Mint": 2 * time.Minute, "Update": 2 * time.Minute, "List of a sweep": 45 * time.Minute}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := good()
				o.do = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
				want := limits[name]
				if want == 0 {
					want = time.Minute
				}
				since := clock.NewReal() // in the time of the bubble
				err := call(t.Context(), bounded.Driver(o, bounded.Options{}), bounded.Client(o, bounded.Options{}))
				took := since.Monotonic()
				if e := provider.AsError(err); e.Code != provider.CodeUnavailable || !provider.InDoubt(err) || took != want {
					t.Errorf("after %s: %v", took, err)
				}
				if !strings.Contains(err.Error(), "longer than "+want.String()) {
					t.Errorf("it says %s", err)
				}
			})
		})
	}
}

// TestCallAtItsDeadlineIsAnError: a driver that returns a partial list at its deadline has not
// listed everything.
func TestCallAtItsDeadlineIsAnError(t *testing.T) {
	for name, call := range calls {
		synctest.Test(t, func(t *testing.T) {
			o := good()
			o.do = func(ctx context.Context) error { <-ctx.Done(); return nil }
			err := call(t.Context(), bounded.Driver(o, bounded.Options{}), bounded.Client(o, bounded.Options{}))
			if made := name == "Mint"; made != (err == nil) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

func TestInvalidIdentifiersAreRejected(t *testing.T) {
	long := strings.Repeat("x", 257)
	for _, id := range []string{"", ".", "..", "a/b", "a?b", "a#b", "a%2e", "a b", "a\nb", "\x1b[2K", "ä", long} {
		for name, change := range map[string]func(*odd){
			"Mint":            func(o *odd) { o.made.Credential.ID = id },
			"Find":            func(o *odd) { o.found[0].ID = id },
			"List":            func(o *odd) { o.found[0].ID = id },
			"List of a sweep": func(o *odd) { o.found[0].Name = id },
			"Update":          func(o *odd) { o.changed.ID = id },
			"Occupied":        func(o *odd) { o.found[0].ID = id },
			"Connect":         func(o *odd) { o.account.GrantableScopes[0] = id },
		} {
			o := good()
			change(o)
			err := calls[name](t.Context(), bounded.Driver(o, bounded.Options{}), bounded.Client(o, bounded.Options{}))
			if e := provider.AsError(err); e == nil || e.Code != provider.CodeUnknown || !provider.InDoubt(err) {
				t.Errorf("%s with %q: %v", name, id, err)
			}
		}
	}
}

// TestTimesThatAStatusCannotHoldAreRejected: the API server rejects a status with a time that it cannot store,
// so such a time is an error.
func TestTimesThatAStatusCannotHoldAreRejected(t *testing.T) {
	for _, tc := range []struct {
		at   time.Time
		fits bool
		why  string
	}{
		{time.Time{}, true, "unknown"},
		{time.Date(2030, 1, 31, 0, 0, 0, 0, time.UTC), true, "usual"},
		{time.Date(2, 1, 1, 0, 0, 0, 0, time.UTC), true, "the first that fits"},
		{time.Date(9999, 12, 30, 23, 59, 59, 999, time.UTC), true, "the last that fits"},
		{time.Date(9999, 12, 31, 1, 0, 0, 0, time.FixedZone("", 2*60*60)), true, "it counts in UTC"},
		{time.Time{}.Add(1), false, "in the first second, but not zero"},
		{time.Date(1, 12, 31, 23, 59, 59, 999, time.UTC), false, "before the first"},
		{time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), false, "before year 0"},
		{time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), false, "after the last"},
		{time.Unix(1<<40, 0), false, "a year that JSON cannot hold"},
		{time.Unix(1_800_000_000_000, 0), false, "milliseconds taken for seconds"},
	} {
		for name, change := range map[string]func(*odd, time.Time){
			"Mint":            func(o *odd, at time.Time) { o.made.Credential.ExpiresAt = at },
			"Find":            func(o *odd, at time.Time) { o.found[0].CreatedAt = at },
			"List":            func(o *odd, at time.Time) { o.found[0].ExpiresAt = at },
			"List of a sweep": func(o *odd, at time.Time) { o.found[0].CreatedAt = at },
			"Update":          func(o *odd, at time.Time) { o.changed.ExpiresAt = at },
		} {
			o := good()
			change(o, tc.at)
			err := calls[name](t.Context(), bounded.Driver(o, bounded.Options{}), bounded.Client(o, bounded.Options{}))
			if (err == nil) != tc.fits || err != nil && (provider.AsError(err).Code != provider.CodeUnknown || !provider.InDoubt(err)) {
				t.Errorf("%s with %s (%s): %v", name, tc.at, tc.why, err)
			}
		}
	}
}

// TestKeysOfOthersWithInvalidTimesAreCounted: a key of another client counts, with any times.
func TestKeysOfOthersWithInvalidTimesAreCounted(t *testing.T) {
	o := good()
	o.found[0].ExpiresAt = time.Unix(1<<40, 0)
	found, err := bounded.Client(o, bounded.Options{}).(provider.Counter).Occupied(t.Context())
	if err != nil || len(found) != 1 || !found[0].ExpiresAt.IsZero() {
		t.Errorf("got %v, %v", found, err)
	}
}

func TestInvalidAccountIDsAreRejected(t *testing.T) {
	for id, want := range map[string]bool{
		"123456789012": true, "123@iam.example.com:9000": true, "org-1/user-2": true, "42": true, "api.example.com/3f": true,
		"": false, "/": false, "a/": false, "a/../b": false, "a?b": false, "a b": false, "@\x1b": false, strings.Repeat("x", 257): false,
	} {
		o := good()
		o.account = provider.Account{ID: id, GrantableScopes: []string{"a:b", "a:b", "c:d"}}
		_, account, err := bounded.Driver(o, bounded.Options{}).Connect(t.Context(), provider.Config{})
		if (err == nil) != want {
			t.Errorf("%q: %v", id, err)
		}
		if err == nil && len(account.GrantableScopes) != 2 {
			t.Errorf("the permissions are %v", account.GrantableScopes)
		}
	}
	o := good()
	for i := range 257 {
		o.account.GrantableScopes = append(o.account.GrantableScopes, "scope:"+strings.Repeat("x", i%100)+string(rune('a'+i/100)))
	}
	if _, _, err := bounded.Driver(o, bounded.Options{}).Connect(t.Context(), provider.Config{}); err == nil {
		t.Error("257 permissions are accepted")
	}
}

// TestDisabledCredentialNeedsNoID: a credential that grants no access can have no id.
func TestDisabledCredentialNeedsNoID(t *testing.T) {
	o := good()
	o.found[0].ID, o.found[0].State = "", provider.Disabled
	found, err := bounded.Client(o, bounded.Options{}).Find(t.Context(), provider.Ref{Name: "at1-name"})
	if err != nil || len(found) != 1 {
		t.Errorf("got %v, %v", found, err)
	}
}

// TestNamesOfOthersAreMadePrintable: a key that holds a slot can have any name.
func TestNamesOfOthersAreMadePrintable(t *testing.T) {
	o := good()
	o.found[0].Name = "my key / \x1b[2K" + strings.Repeat("é", 300)
	found, err := bounded.Client(o, bounded.Options{}).(provider.Counter).Occupied(t.Context())
	if err != nil || len(found) != 1 || !strings.HasPrefix(found[0].Name, "my key / ?[2K??") || len(found[0].Name) > 256 {
		t.Errorf("got %v, %v", found, err)
	}
}

func TestPanicWithASubmittedCredentialIsNotInDoubt(t *testing.T) {
	o := good()
	o.made.Credential.ID = ".."
	req := provider.MintRequest{Name: "at1-name", Submitted: map[string]provider.Value{"token": provider.NewValue(canary)}}
	if _, err := bounded.Client(o, bounded.Options{}).Mint(t.Context(), req); err == nil || provider.InDoubt(err) {
		t.Errorf("got %v", err)
	}
}

// TestInvalidIDOfALedgerIsNeverSent: an invalid id is never sent.
func TestInvalidIDOfALedgerIsNeverSent(t *testing.T) {
	o := good()
	c := bounded.Client(o, bounded.Options{})
	bad := provider.Ref{Name: "at1-name", ID: ".."}
	_, findErr := c.Find(t.Context(), bad)
	_, updateErr := c.(provider.Updater).Update(t.Context(), bad, provider.MintRequest{})
	if err := errors.Join(findErr, updateErr, c.Revoke(t.Context(), bad)); err != nil {
		t.Error(err)
	}
	for _, ref := range o.refs {
		if ref.ID != "" {
			t.Errorf("the driver got %+v", ref)
		}
	}
	if err := c.Revoke(t.Context(), provider.Ref{ID: ".."}); err == nil || provider.InDoubt(err) || len(o.refs) != 3 {
		t.Errorf("without a name: %v, %d calls", err, len(o.refs))
	}
}

func TestNumberOfCredentialsIsBounded(t *testing.T) {
	for name, limit := range map[string]int{"Find": 1000, "List": 1000, "List of a sweep": 20_000, "Occupied": 20_000} {
		o := good()
		for len(o.found) < limit {
			o.found = append(o.found, o.found[0])
		}
		c := bounded.Client(o, bounded.Options{})
		if err := calls[name](t.Context(), nil, c); err != nil {
			t.Errorf("%s of %d: %v", name, limit, err)
		}
		o.found = append(o.found, o.found[0])
		if err := calls[name](t.Context(), nil, c); err == nil || !provider.InDoubt(err) {
			t.Errorf("%s of %d: %v", name, limit+1, err)
		}
	}
}

// TestEndedIsListedOnlyByFind checks that lists and counts leave out ended credentials, however
// many a provider shows, and that Find returns them. A missing state is an error.
func TestEndedIsListedOnlyByFind(t *testing.T) {
	o := &odd{}
	for range 25_000 {
		o.found = append(o.found, provider.Credential{Name: "at1-name", ID: "AKIA1", State: provider.Ended})
	}
	o.found = append(o.found, provider.Credential{Name: "at1-name", ID: "AKIA2", State: provider.Disabled})
	client := bounded.Client(o, bounded.Options{})
	var listed []provider.Credential
	for c, err := range client.List(t.Context(), provider.Owner{Token: "training"}) {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, c)
	}
	occupied, err := client.(provider.Counter).Occupied(t.Context())
	if err != nil || len(listed) != 1 || len(occupied) != 1 || listed[0].ID != "AKIA2" || occupied[0].ID != "AKIA2" {
		t.Errorf("listed %+v, occupied %+v, error %v", listed, occupied, err)
	}
	o.found = o.found[24_999:]
	found, err := client.Find(t.Context(), provider.Ref{Name: "at1-name"})
	if err != nil || len(found) != 2 || found[0].State != provider.Ended {
		t.Errorf("found %+v, %v", found, err)
	}
	o.found[0].State = "Revoked"
	if found, err := client.Find(t.Context(), provider.Ref{Name: "at1-name"}); !provider.InDoubt(err) {
		t.Errorf("an unknown state: %+v, %v", found, err)
	}
}
