package conformance

import (
	"context"
	"errors"
	"runtime/metrics"
	"testing"

	"apitoken.dev/operator/internal/provider"
)

var hostile = []Requirement{
	{
		Name: "NonsenseIsAnError", Test: withLies(nonsense, mostSteps),
		Sentence: "A call whose requests, from any one on, are answered with nonsense MUST NOT panic and MUST return an error, unless what it returns is true: " +
			"nonsense is no empty list, no account, no credential, and no deletion.",
		Applies: overHTTP,
		Needs:   obtains,
	},
	{
		Name: "FloodIsAnError", Test: withLies(func(Harness) map[string]lie { return floods() }, 1),
		Sentence: "A call whose answers do not end MUST return an error, in time, and without keeping what it reads.",
		Applies:  overHTTP,
		Needs:    obtains,
	},
	{
		Name: "CutListIsAnError", Test: endlessPages,
		Sentence: "Where the provider lists in pages, Find, List, Revoke and Occupied MUST return an error when a limit is reached before the last page.",
		Applies:  func(h Harness) bool { return overHTTP(h) && byAPI(h) && !h.OnePage },
		Needs:    func(h Harness) bool { return h.NextPage != nil },
	},
}

func overHTTP(h Harness) bool { return !h.InMemory && !h.SameAnswers }

// maxAllocated is how many bytes one call may allocate, for any answer of the provider.
// A call of package bounded can receive 16 MiB.
const maxAllocated = 96 << 20

// victim is a world whose connection to the provider a lie can take over, call by call.
type victim struct {
	*world
	way    *way
	minted provider.Minted
	req    provider.MintRequest
}

// attempt is one call, with a check of a successful result. The check returns "" if it
// is true.
type attempt struct {
	call func(ctx context.Context) error
	// untrue runs after a call without an error, when the provider answers again.
	untrue func() string
	// after cleans up; nil if there is nothing to do.
	after func()
	// bare: a success status can be the whole answer to all requests but the first.
	bare bool
}

func withLies(all func(Harness) map[string]lie, steps int) func(*testing.T, Harness) {
	return func(t *testing.T, h Harness) {
		for name, l := range all(h) {
			t.Run(name, func(t *testing.T) {
				h, way := hostileConfig(h)
				v := &victim{world: open(t, h), way: way}
				for call, prepare := range v.attempts() {
					v.from(call, prepare, l, steps)
				}
			})
		}
	}
}

// from starts the lie at the first request of a call, then at the second, and so on,
// until the call completes without meeting it.
func (v *victim) from(call string, prepare func() attempt, l lie, steps int) {
	v.t.Helper()
	for step := range steps {
		v.obtain()
		a := prepare()
		release := v.way.take(step, l)
		before := allocated()
		err := a.call(v.ctx)
		took := allocated() - before
		met := release()
		if met > 0 {
			v.judge(call, step, err, a)
		}
		if a.after != nil {
			a.after()
		}
		if met == 0 {
			if step == 0 {
				v.t.Errorf("%s sends no request over Config.HTTP", call)
			}
			return
		}
		if took > maxAllocated {
			v.t.Errorf("%s after %d requests: it allocated %d MiB", call, step, took>>20)
		}
	}
}

func (v *victim) judge(call string, step int, err error, a attempt) {
	v.t.Helper()
	checkMessage(v.t, v.h, err)
	var known *provider.Error
	switch {
	case err == nil && step > 0 && a.bare:
	case err == nil:
		if says := a.untrue(); says != "" {
			v.t.Errorf("%s after %d requests succeeded: %s", call, step, says)
		}
	case !errors.As(err, &known):
		v.t.Errorf("%s after %d requests: %T is not a *provider.Error", call, step, err)
	}
}

// obtain makes sure that the credential of this world exists.
func (v *victim) obtain() {
	v.t.Helper()
	if v.minted.Credential.ID != "" && (manual(v.h) || len(v.find(v.req.Name)) > 0) {
		return
	}
	v.req = v.request(v.owner("first"))
	v.minted = v.mint(v.req)
}

// attempts returns the calls of a client. Each is prepared again for every step.
func (v *victim) attempts() map[string]func() attempt {
	out := map[string]func() attempt{"Connect": v.connecting, "Mint": v.minting}
	if _, ok := provider.As[provider.Prober](v.client); ok && manual(v.h) {
		out["Accepts"] = v.accepting
	}
	if manual(v.h) {
		return out
	}
	out["Find"], out["List"], out["Revoke"] = v.finding, v.listing, v.revoking
	if _, ok := provider.As[provider.Counter](v.client); ok {
		out["Occupied"] = v.occupying
	}
	if updates(v.h) && v.h.Changed != nil {
		out["Update"] = v.updating
	}
	return out
}

func (v *victim) connecting() attempt {
	var account provider.Account
	return attempt{
		call: func(ctx context.Context) (err error) {
			_, account, err = v.driver.Connect(ctx, v.config)
			return err
		},
		untrue: func() string {
			if account.ID != v.account.ID {
				return "the account is another one"
			}
			return ""
		},
	}
}

func (v *victim) minting() attempt {
	if most(v.h, 2) < 2 {
		v.revoke(provider.Ref{Name: v.req.Name})
	}
	req := v.request(v.owner("first"))
	var minted provider.Minted
	return attempt{
		after: func() {
			if !manual(v.h) {
				// The grant ends later than anything that is listed was made.
				v.revoke(provider.Ref{Name: req.Name, Since: req.Grant.ExpiresAt})
			}
		},
		call: func(ctx context.Context) (err error) {
			minted, err = v.client.Mint(ctx, req)
			return err
		},
		untrue: func() string {
			c := minted.Credential
			if c.Name != req.Name || c.ID == "" || c.ExpiresAt.After(req.Grant.ExpiresAt) {
				return "the credential has another name, no ID, or a later end"
			}
			for _, key := range v.h.SecretKeys {
				if minted.Secret[key].Empty() {
					return "the secret is not whole"
				}
			}
			return ""
		},
	}
}

// shows describes what is wrong with a list of credentials that must contain ours.
func (v *victim) shows(all []provider.Credential) string {
	for _, c := range all {
		if c.Name == v.req.Name && c.ID != "" && c.State.Occupies() {
			return ""
		}
	}
	return "the credential is not shown, or as Ended, although it grants access"
}

func (v *victim) finding() attempt {
	var found []provider.Credential
	return attempt{
		call: func(ctx context.Context) (err error) {
			found, err = v.client.Find(ctx, provider.Ref{Name: v.req.Name, ID: v.minted.Credential.ID})
			return err
		},
		untrue: func() string { return v.shows(found) },
	}
}

func (v *victim) listing() attempt {
	var found []provider.Credential
	return attempt{
		call: func(ctx context.Context) error {
			for c, err := range v.client.List(ctx, v.req.Owner) {
				if err != nil {
					return err
				}
				found = append(found, c)
			}
			return nil
		},
		untrue: func() string { return v.shows(found) },
	}
}

func (v *victim) occupying() attempt {
	var found []provider.Credential
	return attempt{
		call: func(ctx context.Context) (err error) {
			found, err = v.client.(provider.Counter).Occupied(ctx)
			return err
		},
		untrue: func() string { return v.shows(found) },
	}
}

func (v *victim) revoking() attempt {
	ref := provider.Ref{Name: v.req.Name, ID: v.minted.Credential.ID}
	return attempt{
		bare: v.h.AnySuccess,
		call: func(ctx context.Context) error { return v.client.Revoke(ctx, ref) },
		untrue: func() string {
			if len(v.left(ref.Name)) > 0 {
				return "the credential still exists"
			}
			return ""
		},
	}
}

func (v *victim) updating() attempt {
	var got provider.Credential
	return attempt{
		call: func(ctx context.Context) (err error) {
			req := v.req
			req.Grant = v.h.Changed()
			got, err = v.client.(provider.Updater).Update(ctx, provider.Ref{Name: req.Name, ID: v.minted.Credential.ID}, req)
			return err
		},
		untrue: func() string {
			found := v.find(v.req.Name)
			if got.Name != v.req.Name || len(found) != 1 || !found[0].ExpiresAt.Equal(got.ExpiresAt) {
				return "the credential is not what was returned"
			}
			return ""
		},
	}
}

func (v *victim) accepting() attempt {
	accepted := false
	return attempt{
		call: func(ctx context.Context) (err error) {
			accepted, err = v.accepts(ctx, v.minted, v.req.Grant)
			return err
		},
		untrue: func() string {
			if !accepted {
				return "the credential is said to be gone, although it works"
			}
			return ""
		},
	}
}

// endlessPages answers every list with a page that names a next one. If no call
// requests a second page, the driver ignores the marker, or NextPage does not use the
// provider's format.
func endlessPages(t *testing.T, h Harness) {
	next := h.NextPage
	h, way := hostileConfig(h)
	v := &victim{world: open(t, h), way: way}
	v.obtain()
	followed := false
	for call, prepare := range v.attempts() {
		if call == "Connect" || call == "Mint" || call == "Update" {
			continue
		}
		v.obtain()
		a := prepare()
		release := way.take(0, changed(next))
		err := a.call(v.ctx)
		met := release()
		followed = followed || met > 1
		if met > 1 && err == nil {
			t.Errorf("%s of a list without an end returned no error after %d requests", call, met)
		}
		checkMessage(t, h, err)
	}
	if !followed {
		t.Error("no call asked for a second page, although the first one names it")
	}
}

// allocated returns how many bytes this process has allocated so far.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
