package conformance

import (
	"context"
	"crypto/rand"
	"iter"
	"math"
	"net/http"
	"testing"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
)

// world is a connected client with its own cluster.
type world struct {
	t *testing.T
	h Harness
	// driver is h.Driver, wrapped by package bounded unless the test is about the driver
	// alone.
	driver  provider.Driver
	ctx     context.Context
	config  provider.Config
	client  provider.Client
	account provider.Account
}

// bound returns the driver as the operator runs it. The operator survives a panic; here
// it fails the test.
func bound(t *testing.T, h Harness) provider.Driver {
	return bounded.Driver(h.Driver, bounded.Options{Panicked: func(_ context.Context, method, kind string, stack []byte) {
		t.Errorf("%s panicked with %s:\n%s", method, kind, stack)
	}})
}

// open connects with a new cluster identity.
func open(t *testing.T, h Harness) *world {
	t.Helper()
	return openWith(t, h, bound(t, h))
}

func openWith(t *testing.T, h Harness, driver provider.Driver) *world {
	t.Helper()
	w := &world{t: t, h: h, driver: driver, ctx: t.Context(), config: h.Config}
	w.config.Cluster = credname.Cluster(rand.Text())
	if w.config.HTTP == nil {
		w.config.HTTP = http.DefaultClient
	}
	client, account, err := driver.Connect(w.ctx, w.config)
	if err != nil {
		t.Fatalf("Connect: %v", err)
	}
	w.client, w.account = client, account
	return w
}

func (w *world) owner(token string) provider.Owner {
	return provider.Owner{Cluster: w.config.Cluster, Namespace: "conformance", Token: token}
}

// request returns a request under a new name of that owner. Manual credentials are made
// and submitted first.
func (w *world) request(owner provider.Owner) provider.MintRequest {
	w.t.Helper()
	req := provider.MintRequest{
		Name: w.name(owner), Owner: owner, Description: "made by the conformance suite", Grant: w.h.Grant(),
	}
	if manual(w.h) && w.h.HandOver != nil {
		req.Submitted = w.h.HandOver(w.t, req)
	}
	return req
}

func (w *world) name(owner provider.Owner) string {
	w.t.Helper()
	hash := credname.Owner(owner.Namespace, owner.Token)
	name, err := credname.New(owner.Cluster, hash, 1, w.h.Driver.Capabilities().MaxName, rand.Reader)
	if err != nil {
		w.t.Fatalf("making a name: %v", err)
	}
	return name.String()
}

// longest returns a request with the longest name for this provider.
func (w *world) longest(owner provider.Owner) provider.MintRequest {
	w.t.Helper()
	hash := credname.Owner(owner.Namespace, owner.Token)
	limit := w.h.Driver.Capabilities().MaxName
	var best string
	for revision := int64(1); revision > 0 && revision < math.MaxInt64/36; revision *= 36 {
		name, err := credname.New(owner.Cluster, hash, revision, limit, rand.Reader)
		if err != nil {
			break
		}
		if len(name.String()) >= len(best) {
			best = name.String()
		}
	}
	req := w.request(owner)
	req.Name = best
	return req
}

// mint mints a credential, and revokes it at the end of the test.
func (w *world) mint(req provider.MintRequest) provider.Minted {
	w.t.Helper()
	minted, err := w.client.Mint(w.ctx, req)
	w.tidy(req.Name)
	if err != nil {
		w.t.Fatalf("Mint(%s): %v", req.Name, err)
	}
	if manual(w.h) && w.h.Outside.DeleteID != nil {
		w.t.Cleanup(func() { w.h.Outside.DeleteID(minted.Credential.ID) })
	}
	return minted
}

// mintDuring mints under a new name while a fault lasts, and checks the message of the
// error. It revokes the name at the end of the test.
func (w *world) mintDuring(fault func() (restore func())) (provider.MintRequest, provider.Minted, error) {
	w.t.Helper()
	req := w.request(w.owner("first"))
	w.tidy(req.Name)
	restore := fault()
	minted, err := w.client.Mint(w.ctx, req)
	restore()
	checkMessage(w.t, w.h, err)
	return req, minted, err
}

// tidy revokes a name at the end of the test, whether or not it passed. Manual
// credentials are left to the Harness.
func (w *world) tidy(name string) {
	if manual(w.h) {
		return
	}
	w.t.Cleanup(func() {
		if err := w.client.Revoke(context.WithoutCancel(w.ctx), provider.Ref{Name: name}); err != nil {
			w.t.Errorf("Revoke(%s) while tidying up: %v", name, err)
		}
	})
}

func (w *world) find(name string) []provider.Credential {
	w.t.Helper()
	found, err := w.client.Find(w.ctx, provider.Ref{Name: name})
	if err != nil {
		w.t.Fatalf("Find(%s): %v", name, err)
	}
	w.checkStates(found)
	return found
}

// left returns what is found under a name and has not Ended.
func (w *world) left(name string) []provider.Credential {
	w.t.Helper()
	return provider.Occupying(w.find(name))
}

func (w *world) revoke(ref provider.Ref) {
	w.t.Helper()
	if err := w.client.Revoke(w.ctx, ref); err != nil {
		w.t.Fatalf("Revoke(%+v): %v", ref, err)
	}
}

// wantRevocable revokes a name and fails if anything is left under it. when describes the
// situation.
func (w *world) wantRevocable(name, when string) {
	w.t.Helper()
	w.revoke(provider.Ref{Name: name})
	if left := w.left(name); len(left) != 0 {
		w.t.Errorf("%s: found %+v after it was revoked", when, left)
	}
}

func (w *world) list(owner provider.Owner) []provider.Credential {
	w.t.Helper()
	listed := collect(w.t, w.client.List(w.ctx, owner))
	w.checkStates(listed)
	return listed
}

func collect(t *testing.T, seq iter.Seq2[provider.Credential, error]) []provider.Credential {
	t.Helper()
	var out []provider.Credential
	for c, err := range seq {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		out = append(out, c)
	}
	return out
}

// wantAlive fails if the data plane disagrees. It does nothing without the hook.
func (w *world) wantAlive(minted provider.Minted, want bool) {
	w.t.Helper()
	if w.h.Alive == nil {
		return
	}
	got, err := w.h.Alive(w.ctx, minted)
	if err != nil {
		w.t.Fatalf("asking the data plane about %s: %v", minted.Credential.Name, err)
	}
	if got != want {
		w.t.Errorf("the data plane accepts %s: got %t, want %t", minted.Credential.Name, got, want)
	}
}

// live returns the credentials that grant access.
func live(all []provider.Credential) []provider.Credential {
	var out []provider.Credential
	for _, c := range all {
		if c.State == provider.Live {
			out = append(out, c)
		}
	}
	return out
}

func names(all []provider.Credential) map[string]bool {
	out := map[string]bool{}
	for _, c := range all {
		out[c.Name] = true
	}
	return out
}
