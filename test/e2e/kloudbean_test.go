package e2e

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/drivers/kloudbean"
	"apitoken.dev/operator/test/e2e/gateway"
	"apitoken.dev/operator/test/e2e/s3front"
	"apitoken.dev/operator/test/support/simulate/kloudbeansim"
)

// panel is an account at KloudBean, and the user who works in it.
type panel struct {
	*vendor
	sim  *kloudbeansim.Simulator
	keys s3front.KloudBean
}

// openKloudBean opens an account with the buckets of every test. The faults of the
// simulator apply to the endpoint that checks keys, and not to requests of a workload.
func openKloudBean(t *testing.T) *panel {
	t.Helper()
	sim := kloudbeansim.New(time.Now, datasets, other)
	front := openFront(t, func() time.Time { return time.Now().Add(sim.Skew()) })
	p := &panel{sim: sim, keys: s3front.KloudBean{Front: front}}
	sim.Keys, sim.EndpointURL = p.keys, serve(t, sim.Wrap(front))
	p.vendor = &vendor{
		driver: kloudbean.New(),
		config: provider.Config{Settings: kloudbean.Settings{S3Endpoint: sim.EndpointURL}, HTTP: http.DefaultClient, UserAgent: "apitoken-operator/e2e"},
		grant:  func() provider.Grant { return grant(readOnly) },
		faults: sim.Faults(),
		s3:     serve(t, front), region: gateway.Region,
	}
	return p
}

// form is what the driver asks the user to enter.
func (p *panel) form(t *testing.T, req provider.MintRequest) kloudbeansim.Form {
	t.Helper()
	form, ok := kloudbean.New().Form(p.config, req)
	if !ok {
		t.Fatal("there is no form")
	}
	filled, err := kloudbeansim.ReadForm(form.Fields)
	if err != nil {
		t.Fatal(err)
	}
	return filled
}

// add does what the user does: it adds a token and copies its details.
func (p *panel) add(t *testing.T, form kloudbeansim.Form) map[string]provider.Value {
	t.Helper()
	made, err := p.sim.AddToken(t.Context(), form)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]provider.Value{
		kloudbean.KeyID: provider.NewValue(made.AccessKeyID), kloudbean.KeySecret: made.SecretAccessKey,
		"AWS_ENDPOINT_URL": provider.NewValue(made.EndpointURL), "BUCKET_NAME": provider.NewValue(made.BucketName),
	}
}

// edit changes the addresses of a token.
func (p *panel) edit(t *testing.T, id string, form kloudbeansim.Form) {
	t.Helper()
	if err := p.sim.Edit(id, form); err != nil {
		t.Fatal(err)
	}
	if err := p.keys.Edit(t.Context(), id, form); err != nil {
		t.Fatal(err)
	}
}

func (p *panel) delete(t *testing.T, id string) {
	t.Helper()
	if err := p.sim.Delete(context.WithoutCancel(t.Context()), id); err != nil {
		t.Fatal(err)
	}
}

// mint adds a token as the form says, and mints with its submitted keys.
func (p *panel) mint(t *testing.T, m *minting, grant provider.Grant) provider.Minted {
	t.Helper()
	req := m.request(grant)
	req.Submitted = p.add(t, p.form(t, req))
	minted, err := m.client.Mint(t.Context(), req)
	if err != nil {
		t.Fatalf("Mint: %v", err)
	}
	return minted
}

// wantRejected submits a token that is not what was declared.
func (p *panel) wantRejected(t *testing.T, m *minting, req provider.MintRequest, says string) {
	t.Helper()
	_, err := m.client.Mint(t.Context(), req)
	if e := provider.AsError(err); err == nil || e.Code != provider.CodeInvalid || provider.InDoubt(err) || !strings.Contains(e.Message, says) {
		t.Errorf("Mint: got %v (in doubt %t), want a rejection that says %q", err, provider.InDoubt(err), says)
	}
}

// wantAccepts checks what the driver's own probe returns.
func wantAccepts(t *testing.T, what string, m *minting, minted provider.Minted, g provider.Grant, want bool) {
	t.Helper()
	got, err := m.client.(provider.Prober).Accepts(t.Context(), minted.Secret, g)
	if err != nil || got != want {
		t.Errorf("Accepts %s: got %t and error %v, want %t", what, got, err, want)
	}
}

// kloudbeanScopes are the scopes with the permission that each needs, and what it allows.
var kloudbeanScopes = map[string]struct {
	permission string
	may        []string
}{
	readOnly:                          {kloudbeansim.ReadOnly, mayRead},
	"objectstorage:object-write-only": {kloudbeansim.WriteOnly, mayWrite},
	"objectstorage:object-read-write": {kloudbeansim.ReadWrite, mayBoth},
}

// TestKloudBeanTokenAllowsWhatTheScopeSays submits tokens as the form says, and tries every operation.
func TestKloudBeanTokenAllowsWhatTheScopeSays(t *testing.T) {
	putPresent(t)
	p := openKloudBean(t)
	if got, want := kloudbean.New().Capabilities().Scopes, slices.Sorted(maps.Keys(kloudbeanScopes)); !slices.Equal(got, want) {
		t.Errorf("the scopes are %v, and %v are tested", got, want)
	}
	for scope, tc := range kloudbeanScopes {
		t.Run(scope, func(t *testing.T) {
			minted := p.mint(t, p.connect(t), grant(scope))
			wantAccess(t, p.open(keysOf(minted)), opens{bucket: tc.may, buckets: []string{datasets}})
		})
	}
}

// TestKloudBeanRejectsATokenWithAnotherPermissionOrBucket submits tokens that were made with
// another permission, or in another bucket, than the form says.
func TestKloudBeanRejectsATokenWithAnotherPermissionOrBucket(t *testing.T) {
	p := openKloudBean(t)
	m := p.connect(t)
	for scope, declared := range kloudbeanScopes {
		for _, made := range kloudbeanScopes {
			if made.permission == declared.permission {
				continue
			}
			t.Run(declared.permission+" declared, "+made.permission+" made", func(t *testing.T) {
				req := m.request(grant(scope))
				form := p.form(t, req)
				form.Permission = made.permission
				req.Submitted = p.add(t, form)
				p.wantRejected(t, m, req, "create one with Permission "+declared.permission)
			})
		}
		t.Run(declared.permission+" in another bucket", func(t *testing.T) {
			req := m.request(grant(scope))
			form := p.form(t, req)
			form.Bucket = other
			req.Submitted = p.add(t, form)
			req.Submitted["BUCKET_NAME"] = provider.NewValue(datasets) // as a user does who mixes them up
			p.wantRejected(t, m, req, "in the bucket "+datasets)
		})
	}
}

func TestKloudBeanRejectsKeysThatTheServerDoesNotKnow(t *testing.T) {
	p := openKloudBean(t)
	m := p.connect(t)
	cases := map[string]struct {
		key, says string
	}{
		"another ID":     {kloudbean.KeyID, "does not know the submitted " + kloudbean.KeyID},
		"another secret": {kloudbean.KeySecret, "the submitted " + kloudbean.KeySecret + " does not belong"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			req := m.request(p.grant())
			req.Submitted = p.add(t, p.form(t, req))
			req.Submitted[tc.key] = provider.NewValue(req.Submitted[tc.key].Reveal() + "x")
			p.wantRejected(t, m, req, tc.says)
		})
	}
	t.Run("deleted before it is submitted", func(t *testing.T) {
		req := m.request(p.grant())
		req.Submitted = p.add(t, p.form(t, req))
		p.delete(t, req.Submitted[kloudbean.KeyID].Reveal())
		p.wantRejected(t, m, req, "does not know")
	})
}

// TestKloudBeanTokenMustAllowTheAddressOfTheOperator submits tokens that are limited to
// addresses. The check comes from 127.0.0.1.
func TestKloudBeanTokenMustAllowTheAddressOfTheOperator(t *testing.T) {
	cases := map[string]struct {
		reason          string
		allowed, denied []string
		says            string // part of the rejection; empty: it is accepted
	}{
		"allowed range":         {reason: "the check comes from it", allowed: []string{"127.0.0.0/8"}},
		"allowed address":       {reason: "the check comes from it", allowed: []string{"192.0.2.1", "127.0.0.1"}},
		"denied elsewhere":      {reason: "the check does not come from there", denied: []string{"192.0.2.0/24"}},
		"allowed elsewhere":     {reason: "the check does not come from there", allowed: []string{"192.0.2.0/24"}, says: "must be among spec.restrictions.allowedIPs"},
		"denied range":          {reason: "the check comes from it", denied: []string{"127.0.0.0/8"}, says: "must not be among spec.restrictions.deniedIPs"},
		"denied within allowed": {reason: "a denial wins", allowed: []string{"127.0.0.0/8"}, denied: []string{"127.0.0.1"}, says: "and not among deniedIPs"},
	}
	p := openKloudBean(t)
	m := p.connect(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			g := p.grant()
			g.AllowedIPs, g.DeniedIPs = tc.allowed, tc.denied
			if tc.says == "" {
				wantAllowed(t, tc.reason, true, p.list(t.Context(), keysOf(p.mint(t, m, g))))
				return
			}
			req := m.request(g)
			req.Submitted = p.add(t, p.form(t, req))
			p.wantRejected(t, m, req, tc.says)
		})
	}
}

// TestKloudBeanTokenBlockedByAddressDoesNotCountAsDeleted edits the addresses of a token that is in use. A token that may
// not be used from here is not taken for a deleted one.
func TestKloudBeanTokenBlockedByAddressDoesNotCountAsDeleted(t *testing.T) {
	p := openKloudBean(t)
	m := p.connect(t)
	g := p.grant()
	minted := p.mint(t, m, g)
	id := minted.Credential.ID
	wantAccepts(t, "before", m, minted, g, true)

	g.AllowedIPs = []string{"192.0.2.0/24"}
	p.edit(t, id, p.form(t, m.request(g)))
	wantCode(t, "a request from elsewhere", "AccessDenied", p.list(t.Context(), keysOf(minted)))
	if accepted, err := m.client.(provider.Prober).Accepts(t.Context(), minted.Secret, g); err == nil {
		t.Errorf("Accepts from elsewhere: got %t, want that it cannot be told", accepted)
	}

	g.AllowedIPs = append(g.AllowedIPs, "127.0.0.1")
	p.edit(t, id, p.form(t, m.request(g)))
	wantAllowed(t, "a request from an address that was added", true, p.list(t.Context(), keysOf(minted)))
	wantAccepts(t, "afterwards", m, minted, g, true)
}

// TestKloudBeanDeletionIsVerifiedWhileTheNewerTokenWorks rotates a manual credential: both
// tokens work, then the older one is deleted and the newer one still works.
func TestKloudBeanDeletionIsVerifiedWhileTheNewerTokenWorks(t *testing.T) {
	p := openKloudBean(t)
	for scope := range kloudbeanScopes {
		t.Run(scope, func(t *testing.T) {
			m := p.connect(t)
			g := grant(scope)
			older, newer := p.mint(t, m, g), p.mint(t, m, g)
			id := older.Credential.ID
			wantAccepts(t, "the older during the overlap", m, older, g, true)
			wantAccepts(t, "the newer during the overlap", m, newer, g, true)
			if err := m.client.Revoke(t.Context(), provider.Ref{Name: older.Credential.Name, ID: id}); err == nil || provider.InDoubt(err) {
				t.Errorf("Revoke: got %v, want that the operator cannot delete it", err)
			}
			wantAccepts(t, "the older before it was deleted", m, older, g, true)
			p.delete(t, id)
			wantAccepts(t, "the older after it was deleted", m, older, g, false)
			wantCode(t, "the older after it was deleted", "InvalidAccessKeyId", p.list(t.Context(), keysOf(older)))
			wantAccepts(t, "the newer after that", m, newer, g, true)
		})
	}
}
