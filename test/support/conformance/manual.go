package conformance

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
)

var manualRequirements = []Requirement{
	{
		Name: "FormIsConstantAndWithoutSecrets", Test: formIsConstant,
		Sentence: "Form MUST be the same for every attempt of one owner, MUST say where and what to fill in and where to delete, MUST list every key of the Secret, and MUST NOT hold a secret.",
		Applies:  manual,
		Needs:    handsOver,
	},
	{
		Name: "MintRequiresSubmittedKeys", Test: mintWithoutKeys,
		Sentence: "Mint of a manual credential MUST be rejected, not in doubt, without the submitted keys.",
		Applies:  manual,
		Needs:    handsOver,
	},
	{
		Name: "SubmittedKeysAreReturned", Test: submittedKeysAreReturned,
		Sentence: "Mint MUST return the name asked for, an ID that is no secret and that follows from the keys alone, and the submitted keys. KeyID MUST return that ID for these keys.",
		Applies:  manual,
		Needs:    handsOver,
	},
	{
		Name: "WrongKeysAreRejected", Test: wrongKeys,
		Sentence: "Mint MUST reject, not in doubt, keys that the provider does not accept, and keys that are missing; the error MUST NOT show them.",
		Applies:  manual,
		Needs:    handsOver,
	},
	{
		Name: "ManualIsNotRevoked", Test: manualIsNotRevoked,
		Sentence: "Revoke with the ID of a manual credential MUST be rejected, not in doubt.",
		Applies:  manual,
		Needs:    handsOver,
	},
	{
		Name: "AcceptsUntilDeleted", Test: acceptsUntilDeleted,
		Sentence: "The client MUST be a Prober, and Accepts MUST be true for a manual credential, and false once a user deleted it.",
		Applies:  manual,
		Needs:    func(h Harness) bool { return handsOver(h) && h.Outside.DeleteID != nil },
	},
	{
		Name: "CancelledChecksEnd", Test: cancelledChecks,
		Sentence: "Connect, Accepts, and Mint of submitted keys MUST fail when their context has ended.",
		Applies:  manual,
		Needs:    handsOver,
	},
}

func handsOver(h Harness) bool { return h.HandOver != nil }

func formIsConstant(t *testing.T, h Harness) {
	w := open(t, h)
	req := w.request(w.owner("first"))
	again := w.requestLike(req)
	form, ok := formOf(h, req)
	if !ok {
		t.Fatal("Form returned false with the submitted keys")
	}
	second, _ := formOf(h, again)
	if diff := cmp.Diff(form, second); diff != "" {
		t.Errorf("Form changed with the name (-first +second):\n%s", diff)
	}
	if form.Where == "" || form.Revoke == "" || len(form.Fields) == 0 {
		t.Errorf("Form does not say where, what and where to delete: %+v", form)
	}
	for _, f := range form.Fields {
		if f.Label == "" || f.Value == "" {
			t.Errorf("a field has no label or no value: %+v", f)
		}
	}
	for _, key := range h.SecretKeys {
		if !slices.Contains(form.Keys, key) {
			t.Errorf("Form does not list the key %s", key)
		}
	}
	shown := fmt.Sprintf("%+v", form)
	checkHides(t, shown, h.Config.Credentials)
	checkHides(t, shown, secretsOf(h, req.Submitted, ""))
}

// secretsOf returns the secret values among the submitted keys: without the
// credential's ID, and without keys that are not part of the credential.
func secretsOf(h Harness, handedOver map[string]provider.Value, id string) map[string]provider.Value {
	out := maps.Clone(handedOver)
	maps.DeleteFunc(out, func(key string, value provider.Value) bool {
		return !slices.Contains(h.SecretKeys, key) || value.Reveal() == id
	})
	return out
}

// checkHides fails if a text contains one of the values.
func checkHides(t *testing.T, text string, values map[string]provider.Value) {
	t.Helper()
	for key, value := range values {
		if !value.Empty() && strings.Contains(text, value.Reveal()) {
			t.Errorf("the secret value of %s is shown", key)
		}
	}
}

// rejects fails unless an error is an explicit rejection that contains no secret.
func rejects(t *testing.T, h Harness, what string, err error, secrets map[string]provider.Value) {
	t.Helper()
	if err == nil || provider.InDoubt(err) {
		t.Errorf("%s: got %v (in doubt %t), want an explicit rejection", what, err, provider.InDoubt(err))
	}
	if err != nil {
		checkMessage(t, h, err)
		checkHides(t, fmt.Sprintf("%+v", err), secrets)
	}
}

func mintWithoutKeys(t *testing.T, h Harness) {
	w := open(t, h)
	req := w.request(w.owner("first"))
	req.Submitted = nil
	_, err := w.client.Mint(w.ctx, req)
	rejects(t, h, "Mint without the submitted keys", err, nil)
}

func submittedKeysAreReturned(t *testing.T, h Harness) {
	w := open(t, h)
	req := w.request(w.owner("first"))
	minted := w.mint(req)
	if minted.Credential.Name != req.Name || minted.Credential.ID == "" || minted.Credential.State != provider.Live {
		t.Errorf("got %+v, want name %s, an ID, live", minted.Credential, req.Name)
	}
	if id := h.Driver.(provider.Manual).KeyID(minted.Secret); id != minted.Credential.ID {
		t.Errorf("KeyID returns %q, Mint %q", id, minted.Credential.ID)
	}
	secrets := secretsOf(h, req.Submitted, minted.Credential.ID)
	if len(secrets) == 0 {
		t.Error("the ID is the secret itself")
	}
	checkHides(t, minted.Credential.ID, secrets)
	for _, key := range h.SecretKeys {
		if value, given := req.Submitted[key]; given && !minted.Secret[key].Equal(value) {
			t.Errorf("the key %s differs from the submitted one", key)
		}
	}
	w.sameKeysSameID(req, minted.Credential.ID)
}

// sameKeysSameID mints with the same keys under another name, and with other keys.
func (w *world) sameKeysSameID(req provider.MintRequest, id string) {
	w.t.Helper()
	if again := w.mint(w.requestLike(req)).Credential.ID; again != id {
		w.t.Errorf("the same keys have the IDs %s and %s", id, again)
	}
	if other := w.mint(w.request(req.Owner)).Credential.ID; other == id {
		w.t.Errorf("other keys have the same ID %s", id)
	}
}

func wrongKeys(t *testing.T, h Harness) {
	w := open(t, h)
	req := w.request(w.owner("first"))
	secrets := secretsOf(h, req.Submitted, w.mint(req).Credential.ID)
	for _, key := range h.SecretKeys {
		value, given := req.Submitted[key]
		if !given {
			t.Errorf("HandOver does not return the key %s", key)
			continue
		}
		other := w.requestLike(req)
		other.Submitted[key] = provider.NewValue(value.Reveal() + "x")
		_, err := w.client.Mint(w.ctx, other)
		rejects(t, h, "Mint with another "+key, err, secrets)
		other = w.requestLike(req)
		delete(other.Submitted, key)
		_, err = w.client.Mint(w.ctx, other)
		rejects(t, h, "Mint without "+key, err, secrets)
	}
}

// requestLike returns a request under a new name, with a copy of the same keys.
func (w *world) requestLike(req provider.MintRequest) provider.MintRequest {
	req.Name = w.name(req.Owner)
	req.Submitted = maps.Clone(req.Submitted)
	return req
}

func manualIsNotRevoked(t *testing.T, h Harness) {
	w := open(t, h)
	req := w.request(w.owner("first"))
	minted := w.mint(req)
	for _, ref := range []provider.Ref{{ID: minted.Credential.ID}, {Name: req.Name, ID: minted.Credential.ID}} {
		rejects(t, h, "Revoke of a manual credential", w.client.Revoke(w.ctx, ref), secretsOf(h, req.Submitted, ref.ID))
	}
	w.wantAlive(minted, true)
}

// accepts calls the driver's own Prober.
func (w *world) accepts(ctx context.Context, minted provider.Minted, grant provider.Grant) (bool, error) {
	w.t.Helper()
	prober, ok := provider.As[provider.Prober](w.client)
	if !ok {
		w.t.Fatal("the client is not a provider.Prober")
	}
	return prober.Accepts(ctx, minted.Secret, grant)
}

func acceptsUntilDeleted(t *testing.T, h Harness) {
	w := open(t, h)
	req := w.request(w.owner("first"))
	minted := w.mint(req)
	for _, want := range []bool{true, false} {
		if got, err := w.accepts(w.ctx, minted, req.Grant); err != nil || got != want {
			t.Errorf("Accepts: got %t and error %v, want %t", got, err, want)
		}
		h.Outside.DeleteID(minted.Credential.ID)
	}
}

func cancelledChecks(t *testing.T, h Harness) {
	w := openWith(t, h, h.Driver) // package bounded would end the calls itself
	req := w.request(w.owner("first"))
	minted := w.mint(req)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for call, do := range map[string]func() error{
		"Connect": func() error { _, _, err := w.driver.Connect(ctx, w.config); return err },
		"Mint":    func() error { _, err := w.client.Mint(ctx, req); return err },
		"Accepts": func() error { _, err := w.accepts(ctx, minted, req.Grant); return err },
	} {
		err := do()
		if err == nil {
			t.Errorf("%s with an ended context returned nil", call)
		}
		checkMessage(t, h, err)
	}
}
