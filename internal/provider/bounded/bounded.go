// Package bounded wraps drivers so that no provider and no driver can harm the
// operator. Every call goes through it: it recovers panics, ends calls that take
// too long, limits the requests, bytes and elements of each call, and checks the
// identifiers in every answer.
//
// A limit or a deadline that is reached is always an error and never a shorter
// answer, because deletion and revocation need complete lists.
package bounded

import (
	"context"
	"fmt"
	"runtime/debug"

	"apitoken.dev/operator/internal/envname"
	"apitoken.dev/operator/internal/provider"
)

// Options of a wrapped driver or client. The zero value is usable.
type Options struct {
	// Owner shares the decoding of answers with other owners: one answer of each owner is
	// decoded at a time.
	Owner string
	// Pace is called before each further request of a list of the whole cluster,
	// so that a long list keeps to the provider's rate. An error ends the call.
	// Nil: no wait.
	Pace func(ctx context.Context) error
	// Panicked is called after a panic of a driver, with the method that panicked,
	// the type of the panic value, and the stack, which contains no values.
	// Nil: nothing is reported.
	Panicked func(ctx context.Context, method, kind string, stack []byte)
}

// Driver returns a driver whose calls, and those of its clients, are bounded. It
// is a Validator, a Connector, a SecretKeyer, a SettingsKeyer, a Manual, a Located and a
// Limiter: without the power, Validate refuses nothing, Connection, SecretKeys and
// SettingsKeys add nothing, Form says that Mint makes the credential, Server that the
// declaration names the account, and the limits are the same for every grant.
// It is a CredentialKeyer only if d is one.
//
// Connect replaces Config.HTTP by the client that HTTP returns.
func Driver(d provider.Driver, o Options) provider.Driver {
	base := &driver{inner: d, o: o}
	if keys, ok := provider.As[provider.CredentialKeyer](d); ok {
		return &namingDriver{driver: base, keys: keys}
	}
	return base
}

type driver struct {
	inner provider.Driver
	o     Options
}

type namingDriver struct {
	*driver
	keys provider.CredentialKeyer
}

var (
	_ provider.Validator = (*driver)(nil)
	_ provider.Connector = (*driver)(nil)
	_ provider.Manual    = (*driver)(nil)
	_ provider.Located   = (*driver)(nil)
	_ provider.Limiter   = (*driver)(nil)

	_ provider.SecretKeyer   = (*driver)(nil)
	_ provider.SettingsKeyer = (*driver)(nil)
)

// Type implements provider.Driver.
func (d *driver) Type() string { return d.inner.Type() }

// Capabilities implements provider.Driver.
func (d *driver) Capabilities() provider.Capabilities { return d.inner.Capabilities() }

// CapabilitiesFor implements provider.Limiter. After a panic it returns those of the driver.
func (d *driver) CapabilitiesFor(grant provider.Grant) provider.Capabilities {
	out, err := protect(context.Background(), d.o, "CapabilitiesFor", func() (provider.Capabilities, error) {
		return provider.CapabilitiesFor(d.inner, grant), nil
	})
	if err != nil {
		return d.inner.Capabilities()
	}
	return out
}

type connected struct {
	client  provider.Client
	account provider.Account
}

// Connect implements provider.Driver.
func (d *driver) Connect(ctx context.Context, cfg provider.Config) (provider.Client, provider.Account, error) {
	cfg.HTTP = HTTP(cfg.HTTP)
	out, err := run(ctx, d.o, connect, func(ctx context.Context, _ *budget) (connected, error) {
		client, account, err := d.inner.Connect(ctx, cfg)
		if err != nil {
			return connected{}, err
		}
		if client == nil {
			return connected{}, unusable(connect.name, "the driver returned no client")
		}
		account, err = checkedAccount(account)
		return connected{Client(client, d.o), account}, err
	})
	if err != nil {
		return nil, provider.Account{}, err
	}
	return out.client, out.account, nil
}

// Validate implements provider.Validator. It does no I/O, so it has no deadline. It
// also refuses a provider that would publish a key which programs take for a setting
// of their own: the schema rejects such keys, but a provider can have been stored by an earlier version.
func (d *driver) Validate(cfg provider.Config, req provider.MintRequest) error {
	for _, key := range provider.DocumentedKeys(d, cfg, req.Grant) {
		if envname.Refused(key) {
			return &provider.Refusal{Field: "spec.providerRef", Value: key,
				Message: "the provider would publish this key, which changes how programs run; give it another name in spec.rest of the provider"}
		}
	}
	v, ok := provider.As[provider.Validator](d.inner)
	if !ok {
		return nil
	}
	_, err := protect(context.Background(), d.o, "Validate", func() (struct{}, error) {
		return struct{}{}, v.Validate(cfg, req)
	})
	return err
}

// Connection implements provider.Connector.
func (d *driver) Connection(cfg provider.Config, grant provider.Grant) map[string]string {
	c, ok := provider.As[provider.Connector](d.inner)
	if !ok {
		return nil
	}
	out, _ := protect(context.Background(), d.o, "Connection", func() (map[string]string, error) {
		return c.Connection(cfg, grant), nil
	})
	return out
}

// SecretKeys implements provider.SecretKeyer.
func (d *driver) SecretKeys(cfg provider.Config, grant provider.Grant) []string {
	k, ok := provider.As[provider.SecretKeyer](d.inner)
	if !ok {
		return nil
	}
	out, _ := protect(context.Background(), d.o, "SecretKeys", func() ([]string, error) { return k.SecretKeys(cfg, grant), nil })
	return out
}

// SettingsKeys implements provider.SettingsKeyer.
func (d *driver) SettingsKeys(cfg provider.Config) []string {
	k, ok := provider.As[provider.SettingsKeyer](d.inner)
	if !ok {
		return nil
	}
	out, _ := protect(context.Background(), d.o, "SettingsKeys", func() ([]string, error) { return k.SettingsKeys(cfg), nil })
	return out
}

// Form implements provider.Manual.
func (d *driver) Form(cfg provider.Config, req provider.MintRequest) (provider.Form, bool) {
	b, ok := provider.As[provider.Manual](d.inner)
	if !ok {
		return provider.Form{}, false
	}
	var manual bool
	form, err := protect(context.Background(), d.o, "Form", func() (form provider.Form, _ error) {
		form, manual = b.Form(cfg, req)
		return form, nil
	})
	return form, manual && err == nil
}

// KeyID implements provider.Manual. An impossible id is dropped.
func (d *driver) KeyID(secret map[string]provider.Value) string {
	b, ok := provider.As[provider.Manual](d.inner)
	if !ok {
		return ""
	}
	id, err := protect(context.Background(), d.o, "KeyID", func() (string, error) { return b.KeyID(secret), nil })
	if err != nil || !identifier(id) {
		return ""
	}
	return id
}

// Server implements provider.Located. After a panic, the account counts as declared,
// so that no other provider shares it.
func (d *driver) Server(ctx context.Context, cfg provider.Config) provider.Server {
	l, ok := provider.As[provider.Located](d.inner)
	if !ok {
		return provider.Server{Declared: true}
	}
	out, err := protect(ctx, d.o, "Server", func() (provider.Server, error) { return l.Server(ctx, cfg), nil })
	if err != nil {
		return provider.Server{Declared: true}
	}
	return out
}

// CredentialKeys returns the keys that the credentials Secret must hold.
func (d *namingDriver) CredentialKeys() []string {
	out, _ := protect(context.Background(), d.o, "CredentialKeys", func() ([]string, error) {
		return d.keys.CredentialKeys(), nil
	})
	return out
}

// run makes one call within its limits.
func run[T any](ctx context.Context, o Options, k kind, call func(context.Context, *budget) (T, error)) (T, error) {
	ctx, b, end := begin(ctx, o, k)
	defer end()
	out, err := protect(ctx, o, k.name, func() (T, error) { return call(ctx, b) })
	if err = b.verdict(ctx, err); err != nil {
		var none T
		return none, err
	}
	return out, nil
}

// protect turns a panic into an error that is in doubt.
func protect[T any](ctx context.Context, o Options, method string, call func() (T, error)) (out T, err error) {
	defer func() {
		if r := recover(); r != nil {
			var none T
			out, err = none, o.panicked(ctx, method, r)
		}
	}()
	return call()
}

// panicked reports a panic. The panic value can hold a secret, so only its type is
// logged.
func (o Options) panicked(ctx context.Context, method string, with any) *provider.Error {
	if o.Panicked != nil {
		o.Panicked(ctx, method, fmt.Sprintf("%T", with), debug.Stack())
	}
	return &provider.Error{Code: provider.CodeUnknown, Message: "the driver failed on an answer that it did not expect; " +
		"the operator's log has a stack trace: report it as a bug"}
}
