package kloudbean

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/s3probe"
	"apitoken.dev/operator/test/support/simulate/kloudbeansim"
)

// canary is part of every secret text.
const canary = "CANARY"

func (w *world) connect(t *testing.T) provider.Client {
	t.Helper()
	client, _, err := New().Connect(t.Context(), w.cfg)
	if err != nil {
		t.Fatalf("Connect: %v", err)
	}
	return client
}

func request(t *testing.T, scope string) provider.MintRequest {
	t.Helper()
	owner := provider.Owner{Cluster: cluster, Namespace: "ml", Token: "training"}
	name, err := credname.New(cluster, credname.Owner(owner.Namespace, owner.Token), 1, 0, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return provider.MintRequest{Name: name.String(), Owner: owner, Grant: grant(scope)}
}

// add creates a token that differs from the form.
func (w *world) add(t *testing.T, form kloudbeansim.Form) map[string]provider.Value {
	t.Helper()
	form.TokenName = "test"
	if form.Bucket == "" {
		form.Bucket = bucket
	}
	made, err := w.AddToken(t.Context(), form)
	if err != nil {
		t.Fatal(err)
	}
	return handed(made)
}

func TestMintAcceptsTheSubmittedKey(t *testing.T) {
	for scope := range permissions {
		t.Run(scope, func(t *testing.T) {
			w := open(t)
			client, req := w.connect(t), request(t, scope)
			req.Submitted = w.handOver(t, req)
			minted, err := client.Mint(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			id := w.Tokens()[0].AccessKeyID
			want := provider.Credential{Name: req.Name, ID: id, State: provider.Live}
			if diff := cmp.Diff(want, minted.Credential); diff != "" {
				t.Errorf("credential (-want +got):\n%s", diff)
			}
			if len(minted.Secret) != 2 || !w.Accepts(minted.Secret[KeyID].Reveal(), minted.Secret[KeySecret].Reveal()) {
				t.Errorf("the Secret has %d keys, want the 2 that were handed over", len(minted.Secret))
			}
			if minted.UsableAfter != 0 {
				t.Errorf("usable after %s, but it was just used", minted.UsableAfter)
			}
			left := map[string][]string{scopeWriteOnly: {s3probe.WriteOnlyKey}}[scope]
			if got := w.Objects(bucket); strings.Join(got, " ") != strings.Join(left, " ") {
				t.Errorf("left in the bucket: got %q, want %q", got, left)
			}
		})
	}
}

// The message says what is wrong with the key, and what to do.
func TestKeysWithOtherAccessAreRejected(t *testing.T) {
	const here, elsewhere = "127.0.0.1", "192.0.2.1"
	cases := map[string]struct {
		scope    string
		made     kloudbeansim.Form
		restrict func(*provider.Grant)
		says     []string
	}{
		"may write": {
			scope: scopeReadOnly, made: kloudbeansim.Form{Permission: kloudbeansim.ReadWrite},
			says: []string{"the key may write, but only reading was declared: create one with Permission Read only, in the bucket datasets"},
		},
		"writes only": {
			scope: scopeReadOnly, made: kloudbeansim.Form{Permission: kloudbeansim.WriteOnly},
			says: []string{"the key may not list the bucket: create one with Permission Read only"},
		},
		"may read": {
			scope: scopeWriteOnly, made: kloudbeansim.Form{Permission: kloudbeansim.ReadWrite},
			says: []string{"the key may read, but only writing was declared: create one with Permission Write only"},
		},
		"reads only": {
			scope: scopeWriteOnly, made: kloudbeansim.Form{Permission: kloudbeansim.ReadOnly},
			says: []string{"the key may read, but only writing was declared"},
		},
		"may not write": {
			scope: scopeReadWrite, made: kloudbeansim.Form{Permission: kloudbeansim.ReadOnly},
			says: []string{"the key may not write: create one with Permission Read & Write"},
		},
		"may not read": {
			scope: scopeReadWrite, made: kloudbeansim.Form{Permission: kloudbeansim.WriteOnly},
			says: []string{"the key may not list the bucket: create one with Permission Read & Write"},
		},
		"of another bucket": {
			scope: scopeReadOnly, made: kloudbeansim.Form{Permission: kloudbeansim.ReadOnly, Bucket: "other"},
			says: []string{"the key may not list the bucket", "in the bucket datasets"},
		},
		"addresses that were not declared": {
			scope: scopeReadOnly, made: kloudbeansim.Form{Permission: kloudbeansim.ReadOnly, AllowedIPs: []string{elsewhere}},
			restrict: func(g *provider.Grant) { g.AllowedIPs, g.DeniedIPs = nil, nil },
			says:     []string{"with both fields for IP addresses empty"},
		},
		"not from the operator": {
			scope: scopeReadOnly, made: kloudbeansim.Form{Permission: kloudbeansim.ReadOnly, AllowedIPs: []string{elsewhere}},
			restrict: func(g *provider.Grant) { g.AllowedIPs, g.DeniedIPs = []string{elsewhere}, nil },
			says:     []string{"its own address must be among spec.restrictions.allowedIPs", "submit the key again"},
		},
		"everywhere but from the operator": {
			scope: scopeWriteOnly, made: kloudbeansim.Form{Permission: kloudbeansim.WriteOnly, DisallowedIPs: []string{here}},
			restrict: func(g *provider.Grant) { g.AllowedIPs, g.DeniedIPs = nil, []string{here} },
			says:     []string{"the key may not write", "must not be among spec.restrictions.deniedIPs"},
		},
		"from nowhere": {
			scope: scopeReadWrite, made: kloudbeansim.Form{Permission: kloudbeansim.ReadWrite, AllowedIPs: []string{here}, DisallowedIPs: []string{here}},
			restrict: func(g *provider.Grant) { g.AllowedIPs, g.DeniedIPs = []string{here}, []string{here} },
			says:     []string{"must be among spec.restrictions.allowedIPs and not among deniedIPs"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			client, req := w.connect(t), request(t, tc.scope)
			if tc.restrict != nil {
				tc.restrict(&req.Grant)
			}
			req.Submitted = w.add(t, tc.made)
			delete(req.Submitted, keyBucket)
			_, err := client.Mint(t.Context(), req)
			rejected(t, err, tc.says...)
			if got := w.Objects(bucket); len(got) != 0 {
				t.Errorf("left in the bucket: %q", got)
			}
		})
	}
}

// rejected fails unless an error is a rejection that contains these texts and no raw text.
func rejected(t *testing.T, err error, says ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("got no error")
	}
	e := provider.AsError(err)
	if e.Code != provider.CodeInvalid || provider.InDoubt(err) {
		t.Errorf("got %s, in doubt %t (%v); want an explicit %s", e.Code, provider.InDoubt(err), err, provider.CodeInvalid)
	}
	for _, want := range says {
		if !strings.Contains(e.Message, want) {
			t.Errorf("message %q does not contain %q", e.Message, want)
		}
	}
	for _, raw := range []string{rawText, canary} {
		if strings.Contains(fmt.Sprintf("%s %+v", e.Message, err), raw) {
			t.Errorf("message %q shows what it must not", e.Message)
		}
	}
}

// The declaration is for reading, and the key can write but not delete. No permission of KloudBean allows
// this.
func TestObjectLeftInTheBucketIsNamed(t *testing.T) {
	c := &client{settings: settings{Settings{S3Endpoint: "https://s3.example.com"}}}
	found := s3probe.Finding{List: s3probe.Allowed, Put: s3probe.Allowed, Left: s3probe.Prefix + "ABC"}
	e := c.judge(found, grant(scopeReadOnly))
	rejected(t, e, "the key may write", "the object "+s3probe.Prefix+"ABC", "delete it yourself")
}

// The test tries all possible findings.
func TestOnlyTheDeclaredAccessPasses(t *testing.T) {
	c := &client{settings: settings{Settings{S3Endpoint: "https://s3.example.com"}}}
	const yes, no = s3probe.Allowed, s3probe.Denied
	right := map[string]map[s3probe.Finding]bool{
		scopeReadOnly:  {{List: yes, Put: no}: true},
		scopeWriteOnly: {{List: no, Put: yes, Get: no}: true},
		scopeReadWrite: {{List: yes, Put: yes, Get: yes, Delete: yes}: true},
	}
	answers := []s3probe.Answer{"", yes, no, s3probe.UnknownKey, s3probe.WrongSecret, s3probe.NoBucket}
	for scope := range permissions {
		passed := 0
		for _, list := range answers {
			for _, put := range answers {
				for _, get := range answers {
					for _, remove := range answers {
						found := s3probe.Finding{List: list, Put: put, Get: get, Delete: remove}
						if c.judge(found, grant(scope)) != nil {
							continue
						}
						// What was not asked for does not matter, if it was not refused as a whole.
						asked := found
						if scope == scopeReadOnly {
							asked.Get, asked.Delete = "", ""
						}
						if scope == scopeWriteOnly {
							asked.Delete = ""
						}
						if !right[scope][asked] {
							t.Errorf("%s: %+v passes", scope, found)
						}
						passed++
					}
				}
			}
		}
		if passed == 0 {
			t.Errorf("%s: nothing passes", scope)
		}
	}
}

// The message does not contain the secret.
func TestSubmittedSecretIsChecked(t *testing.T) {
	cases := map[string]struct {
		change func(map[string]provider.Value)
		says   string
	}{
		"no key id":    {func(m map[string]provider.Value) { delete(m, KeyID) }, "no AWS_ACCESS_KEY_ID"},
		"empty secret": {func(m map[string]provider.Value) { m[KeySecret] = provider.NewValue("") }, "no AWS_SECRET_ACCESS_KEY"},
		"space":        {func(m map[string]provider.Value) { m[KeySecret] = provider.NewValue(canary + " key") }, "AWS_SECRET_ACCESS_KEY has spaces"},
		"line break":   {func(m map[string]provider.Value) { m[KeyID] = provider.NewValue(canary + "\n") }, "AWS_ACCESS_KEY_ID has spaces"},
		"not ASCII":    {func(m map[string]provider.Value) { m[KeyID] = provider.NewValue(canary + "é") }, "AWS_ACCESS_KEY_ID has spaces"},
		"too long":     {func(m map[string]provider.Value) { m[KeyID] = provider.NewValue(strings.Repeat(canary, 200)) }, "too long"},
		"another endpoint": {func(m map[string]provider.Value) {
			m[keyEndpoint] = provider.NewValue("https://" + canary + ".example.com")
		}, "AWS_ENDPOINT_URL is not spec.kloudbean.s3Endpoint, which is http://127.0.0.1:"},
		"no endpoint at all": {func(m map[string]provider.Value) { m[keyEndpoint] = provider.NewValue(canary) }, "AWS_ENDPOINT_URL is not spec.kloudbean.s3Endpoint"},
		"another bucket":     {func(m map[string]provider.Value) { m[keyBucket] = provider.NewValue(canary) }, "BUCKET_NAME is not the bucket of spec.buckets, which is datasets"},
		"unknown key":        {func(m map[string]provider.Value) { m[KeyID] = provider.NewValue(canary) }, "does not know the submitted AWS_ACCESS_KEY_ID"},
		"wrong secret":       {func(m map[string]provider.Value) { m[KeySecret] = provider.NewValue(canary) }, "AWS_SECRET_ACCESS_KEY does not belong to"},
		"swapped": {func(m map[string]provider.Value) {
			m[KeyID], m[KeySecret] = provider.NewValue(canary), m[KeyID]
		}, "does not know the submitted AWS_ACCESS_KEY_ID"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			client, req := w.connect(t), request(t, scopeReadOnly)
			req.Submitted = w.handOver(t, req)
			tc.change(req.Submitted)
			_, err := client.Mint(t.Context(), req)
			rejected(t, err, tc.says)
		})
	}
	t.Run("nothing", func(t *testing.T) {
		w := open(t)
		_, err := w.connect(t).Mint(t.Context(), request(t, scopeReadOnly))
		rejected(t, err, "no credential was submitted", "Add token")
	})
	t.Run("the same endpoint in other words", func(t *testing.T) {
		w := open(t)
		client, req := w.connect(t), request(t, scopeReadOnly)
		req.Submitted = maps.Clone(w.handOver(t, req))
		req.Submitted[keyEndpoint] = provider.NewValue(strings.Replace(w.EndpointURL, "http", "HTTP", 1) + "/")
		if _, err := client.Mint(t.Context(), req); err != nil {
			t.Error(err)
		}
	})
	t.Run("no bucket of that name", func(t *testing.T) {
		w := open(t)
		client, req := w.connect(t), request(t, scopeReadOnly)
		req.Submitted = w.handOver(t, req)
		delete(req.Submitted, keyBucket)
		req.Grant.Buckets = []string{"missing"}
		_, err := client.Mint(t.Context(), req)
		rejected(t, err, "no bucket missing at http://127.0.0.1:", "submit the key again")
	})
}

func TestSameEndpointIgnoresSpelling(t *testing.T) {
	const ours = "https://s3.kloudbean.com"
	for other, want := range map[string]bool{
		"https://s3.kloudbean.com/": true, "https://S3.KloudBean.com:443": true, "https://s3.kloudbean.com/x": false,
		"http://s3.kloudbean.com": false, "https://s3.kloudbean.com:8443": false, "https://user@s3.kloudbean.com": false,
		"https://s3.kloudbean.com?a=b": false, "s3.kloudbean.com": false, "": false, "://": false,
	} {
		if got := sameEndpoint(other, ours); got != want {
			t.Errorf("%q: got %t, want %t", other, got, want)
		}
	}
}

// Without an answer, the state of the key is unknown.
func TestNoAnswerIsInDoubt(t *testing.T) {
	faults := map[string]func(w *world) func(){
		"answers lost":   func(w *world) func() { return w.Faults().LoseAnswers(0) },
		"server error":   func(w *world) func() { return w.Faults().FailAfterCommit(0) },
		"page":           func(w *world) func() { return w.Faults().HTML(0) },
		"page for a put": func(w *world) func() { return w.Faults().HTML(1) },
		"broken":         func(w *world) func() { return w.Faults().Interrupt(1) },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			client, req := w.connect(t), request(t, scopeReadWrite)
			req.Submitted = w.handOver(t, req)
			restore := fault(w)
			_, err := client.Mint(t.Context(), req)
			restore()
			if e := provider.AsError(err); !provider.InDoubt(err) || e.Code != provider.CodeUnavailable || strings.Contains(e.Message, rawText) {
				t.Errorf("got %v, want %s in doubt and nothing raw", err, provider.CodeUnavailable)
			}
			if _, err := client.Mint(t.Context(), req); err != nil {
				t.Errorf("the same key afterwards: %v", err)
			}
		})
	}
}

// The server rejects the request for another reason than the key.
func TestRefusedRequestsAreNotBlamedOnTheKey(t *testing.T) {
	w := open(t)
	client, req := w.connect(t), request(t, scopeReadOnly)
	req.Submitted = w.handOver(t, req)
	restore := w.Faults().RateLimit()
	_, err := client.Mint(t.Context(), req)
	restore()
	if e := provider.AsError(err); e.Code != provider.CodeRateLimited || !e.NotExecuted || e.RetryAfter.Seconds() != 1 {
		t.Errorf("too many requests: got %+v, want %s with a wait of a second", e, provider.CodeRateLimited)
	}
	restore = w.Faults().Reject()
	_, err = client.Mint(t.Context(), req)
	restore()
	rejected(t, err, "the key may not list the bucket")
}

func TestEndedContextIsAnErrorInDoubt(t *testing.T) {
	w := open(t)
	client, req := w.connect(t), request(t, scopeReadOnly)
	req.Submitted = w.handOver(t, req)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	late, stop := context.WithDeadline(t.Context(), expires.AddDate(-100, 0, 0))
	defer stop()
	for name, ctx := range map[string]context.Context{"canceled": ctx, "its deadline passed": late} {
		calls := map[string]func() error{
			"Mint":   func() error { _, err := client.Mint(ctx, req); return err },
			"Find":   func() error { _, err := client.Find(ctx, provider.Ref{Name: req.Name}); return err },
			"Revoke": func() error { return client.Revoke(ctx, provider.Ref{Name: req.Name}) },
			"List": func() error {
				for _, err := range client.List(ctx, req.Owner) {
					return err
				}
				return nil
			},
		}
		for verb, call := range calls {
			err := call()
			if !provider.InDoubt(err) || !strings.Contains(provider.AsError(err).Message, name) {
				t.Errorf("%s: got %v, want an error in doubt that says %q", verb, err, name)
			}
		}
	}
}
