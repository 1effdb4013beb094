package fake_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
)

// driverOf returns a driver of a new backend, changed by change.
func driverOf(change func(*fake.Driver)) (*fake.Driver, *frozen) {
	clock := &frozen{now: start}
	d := fake.New(fake.NewBackend(clock))
	change(d)
	return d, clock
}

func named(name string) provider.MintRequest {
	r := request()
	r.Name = name
	return r
}

func TestUpdateFaultsHaveTheirEffect(t *testing.T) {
	cases := map[string]struct {
		reason  string
		fault   fake.FaultKind
		changed bool
		fails   bool
		doubt   bool
	}{
		"none":        {reason: "the zero fault lets a call through", changed: true},
		"reject":      {reason: "an explicit rejection has no effect", fault: fake.Reject, fails: true},
		"ignore":      {reason: "an ignored update is noticed", fault: fake.Ignore, fails: true, doubt: true},
		"lost answer": {reason: "the effect is there although the caller got an error", fault: fake.LoseAnswer, changed: true, fails: true, doubt: true},
		"in doubt":    {reason: "an error before the effect", fault: fake.InDoubt, fails: true, doubt: true},
	}
	for title, tc := range cases {
		t.Run(title, func(t *testing.T) {
			d, _ := driverOf(func(d *fake.Driver) { d.Caps.Updates = []provider.Field{provider.FieldExpiry} })
			client := connect(t, d)
			minted, err := client.Mint(t.Context(), request())
			if err != nil {
				t.Fatal(err)
			}
			d.Backend.Script(fake.Update, fake.Fault{Kind: tc.fault})
			changed := request()
			changed.Grant.ExpiresAt = start.Add(2 * time.Hour)
			got, err := client.(provider.Updater).Update(t.Context(), provider.Ref{Name: name, ID: minted.Credential.ID}, changed)
			if (err != nil) != tc.fails || provider.InDoubt(err) != tc.doubt {
				t.Errorf("%s: got error %v (in doubt %t)", tc.reason, err, provider.InDoubt(err))
			}
			if err == nil && !got.ExpiresAt.Equal(changed.Grant.ExpiresAt) {
				t.Errorf("%s: Update returned %+v", tc.reason, got)
			}
			grant, _ := d.Backend.GrantOf(name)
			if now := grant.ExpiresAt.Equal(changed.Grant.ExpiresAt); now != tc.changed {
				t.Errorf("%s: changed: got %t, want %t", tc.reason, now, tc.changed)
			}
			if d.Backend.Count(fake.Update) != 1 {
				t.Errorf("%d calls of Update, want 1", d.Backend.Count(fake.Update))
			}
		})
	}
}

func TestUpdateRejectsCredentialsThatAreNotLive(t *testing.T) {
	d, clock := driverOf(func(d *fake.Driver) { d.Caps.Updates = []provider.Field{provider.FieldExpiry} })
	client := connect(t, d)
	if _, err := client.Mint(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	clock.now = start.Add(time.Hour)
	for _, ref := range []provider.Ref{{Name: name}, {Name: "another"}} {
		_, err := client.(provider.Updater).Update(t.Context(), ref, request())
		if err == nil || provider.InDoubt(err) {
			t.Errorf("Update of %q: got %v, want a rejection", ref.Name, err)
		}
	}
}

func TestFullAccountRejectsMint(t *testing.T) {
	d, _ := driverOf(func(d *fake.Driver) { d.Caps.MaxLive = 2 })
	client := connect(t, d)
	stranger := d.Backend.Stranger(1)
	d.Backend.Script(fake.Mint, fake.Fault{Kind: fake.Partial})
	if _, err := client.Mint(t.Context(), named("remains")); !provider.InDoubt(err) {
		t.Fatalf("a Mint that stopped: %v", err)
	}
	_, err := client.Mint(t.Context(), request())
	if e := provider.AsError(err); e.Code != provider.CodeQuota || !e.NotExecuted {
		t.Errorf("Mint into a full account: got %v", err)
	}
	occupied, err := client.(provider.Counter).Occupied(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range occupied {
		names = append(names, c.Name)
	}
	if diff := cmp.Diff([]string{stranger[0], "remains"}, names); diff != "" {
		t.Errorf("Occupied (-want +got):\n%s", diff)
	}
	d.Backend.Delete(stranger[0])
	if _, err := client.Mint(t.Context(), request()); err != nil {
		t.Errorf("Mint once there was room: %v", err)
	}
}

func TestLateMintFindsTheAccountFull(t *testing.T) {
	d, _ := driverOf(func(d *fake.Driver) { d.Caps.MaxLive = 1 })
	client := connect(t, d)
	d.Backend.Script(fake.Mint, fake.Fault{Kind: fake.LandLate})
	if _, err := client.Mint(t.Context(), named("late")); !provider.InDoubt(err) {
		t.Fatalf("a late Mint: %v", err)
	}
	if _, err := client.Mint(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	d.Backend.Land()
	if diff := cmp.Diff([]string{name}, d.Backend.LiveNames()); diff != "" {
		t.Errorf("live (-want +got):\n%s", diff)
	}
}

func TestOnlyTheNewestAreListed(t *testing.T) {
	d, clock := driverOf(func(d *fake.Driver) { d.Caps.Listed = 2 })
	client := connect(t, d)
	minted, err := client.Mint(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	clock.now = start.Add(time.Minute)
	d.Backend.Stranger(2)
	cases := map[string]struct {
		ref     provider.Ref
		found   int
		fails   bool
		refused bool
	}{
		"by name":                            {ref: provider.Ref{Name: name}, fails: true},
		"by name, reserved before them":      {ref: provider.Ref{Name: name, Since: start}, fails: true},
		"by name, reserved with the oldest":  {ref: provider.Ref{Name: name, Since: clock.now}, fails: true},
		"by name, reserved after the oldest": {ref: provider.Ref{Name: "never", Since: clock.now.Add(time.Second)}},
		"by ID":                              {ref: provider.Ref{ID: minted.Credential.ID}, refused: true},
		"by name and ID":                     {ref: provider.Ref{Name: name, ID: minted.Credential.ID}, found: 1},
		"by another ID":                      {ref: provider.Ref{Name: name, ID: "gone"}},
		"by ID of another name":              {ref: provider.Ref{Name: "never", ID: minted.Credential.ID}},
	}
	for title, tc := range cases {
		found, err := client.Find(t.Context(), tc.ref)
		if len(found) != tc.found || provider.InDoubt(err) != tc.fails || (err != nil) != (tc.fails || tc.refused) {
			t.Errorf("Find %s: got %+v and error %v", title, found, err)
		}
	}
	for _, err := range client.List(t.Context(), owner) {
		t.Errorf("List yields what is not listed, or error %v", err)
	}
	if err := client.Revoke(t.Context(), provider.Ref{Name: name}); !provider.InDoubt(err) || !d.Backend.Live(name) {
		t.Errorf("Revoke by name: error %v, live %t", err, d.Backend.Live(name))
	}
	if err := client.Revoke(t.Context(), provider.Ref{Name: name, ID: minted.Credential.ID}); err != nil || d.Backend.Live(name) {
		t.Errorf("Revoke by ID: error %v, live %t", err, d.Backend.Live(name))
	}
}

// manual makes credentials that grant billing manual.
func manual(d *fake.Driver) {
	d.ManualForm = func(r provider.MintRequest) (provider.Form, bool) {
		return provider.Form{Where: "Panel"}, r.Grant.Scopes[0] == "billing:read-only"
	}
}

func TestManualCredentialsAreChecked(t *testing.T) {
	d, _ := driverOf(manual)
	client := connect(t, d)
	req := request()
	req.Grant.Scopes = []string{"billing:read-only"}
	if _, ok := d.Form(provider.Config{}, req); !ok {
		t.Error("no Form for a manual credential")
	}
	if _, err := client.Mint(t.Context(), req); err == nil || provider.InDoubt(err) {
		t.Errorf("Mint with nothing handed over: got %v, want a rejection", err)
	}
	req.Submitted = d.Backend.MakeManual(req.Grant)
	minted, err := client.Mint(t.Context(), req)
	if err != nil || minted.Credential.Name != name || !minted.Secret[fake.KeySecret].Equal(req.Submitted[fake.KeySecret]) {
		t.Fatalf("Mint: got %+v and error %v", minted.Credential, err)
	}
	if diff := cmp.Diff([]string{name}, d.Backend.LiveOf(owner)); diff != "" {
		t.Errorf("LiveOf (-want +got):\n%s", diff)
	}
	ref := provider.Ref{Name: name, ID: minted.Credential.ID}
	if found, err := client.Find(t.Context(), ref); err != nil || len(found) != 0 {
		t.Errorf("Find shows %v, %v", found, err)
	}
	if err := client.Revoke(t.Context(), provider.Ref{Name: name}); err != nil || !d.Backend.Live(name) {
		t.Errorf("Revoke by name: error %v, live %t", err, d.Backend.Live(name))
	}
	for _, deleted := range []bool{false, true} {
		if accepted, err := client.(provider.Prober).Accepts(t.Context(), minted.Secret, req.Grant); err != nil || accepted == deleted {
			t.Errorf("Accepts, deleted %t: got %t, %v", deleted, accepted, err)
		}
		if err := client.Revoke(t.Context(), ref); err == nil || provider.InDoubt(err) {
			t.Errorf("Revoke, deleted %t: got %v, want a rejection", deleted, err)
		}
		d.Backend.DeleteManual(ref.ID)
	}
}

func TestMintRejectsUnexpectedSubmittedCredentials(t *testing.T) {
	d, _ := driverOf(manual)
	client := connect(t, d)
	req := request()
	req.Submitted = d.Backend.MakeManual(req.Grant)
	if _, err := client.Mint(t.Context(), req); err == nil || provider.InDoubt(err) {
		t.Errorf("Mint of what it makes itself: got %v, want a rejection", err)
	}
	minted, err := client.Mint(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	req.Grant.Scopes = []string{"billing:read-only"}
	req.Submitted = minted.Secret
	if _, err := client.Mint(t.Context(), req); err == nil || provider.InDoubt(err) {
		t.Errorf("Mint of what no person made: got %v, want a rejection", err)
	}
}

func TestDisabledCredentialIsFound(t *testing.T) {
	d, _ := driverOf(func(*fake.Driver) {})
	client := connect(t, d)
	if _, err := client.Mint(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	d.Backend.Disable(name)
	found, err := client.Find(t.Context(), provider.Ref{Name: name})
	if err != nil || len(found) != 1 || found[0].State != provider.Disabled || d.Backend.Live(name) {
		t.Errorf("found %+v, error %v, live %t", found, err, d.Backend.Live(name))
	}
}

func TestFaultsReachAcceptsAndOccupied(t *testing.T) {
	d, _ := driverOf(func(*fake.Driver) {})
	client := connect(t, d)
	minted, err := client.Mint(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	d.Backend.Script(fake.Accepts, fake.Fault{Kind: fake.LoseAnswer})
	if accepted, err := client.(provider.Prober).Accepts(t.Context(), minted.Secret, provider.Grant{}); err == nil || accepted {
		t.Errorf("Accepts without an answer: got %t, %v", accepted, err)
	}
	d.Backend.Script(fake.Occupied, fake.Fault{Kind: fake.InDoubt})
	if got, err := client.(provider.Counter).Occupied(t.Context()); err == nil || got != nil {
		t.Errorf("Occupied without an answer: got %v, %v", got, err)
	}
}
