package tokenprovider

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/provider"
)

// scripted answers one check after the other and remembers how it was asked.
type scripted struct {
	asked   string
	answers []error
}

func (s *scripted) answer(how string) (connections.Connection, error) {
	s.asked += how
	var err error
	if len(s.answers) > 0 {
		err, s.answers = s.answers[0], s.answers[1:]
	}
	return connections.Connection{Account: provider.Account{ID: "a"}}, err
}

func (s *scripted) Connect(context.Context, connections.Key) (connections.Connection, error) {
	return s.answer("C")
}

func (s *scripted) Refresh(context.Context, connections.Key) (connections.Connection, error) {
	return s.answer("R")
}

func (*scripted) Forget(connections.Key) {}

// A provider is asked once; again when it is due, when it failed, and when the
// provider or its Secret changed. C takes a kept connection, R connects anew.
func TestExamine(t *testing.T) {
	w := newWorld(t)
	secret := w.secret("minter", "good")
	key := w.provider("p", "minter")
	c, pool := newShifted(), &scripted{}
	r := &Reconciler{Kind: key.Kind, Client: w.c, Live: w.c, Pool: pool, Clock: c, Namespace: w.namespace}
	examine := func(want string, fails bool) {
		t.Helper()
		pool.asked = ""
		found, err := r.examine(t.Context(), w.get(key))
		if err != nil {
			t.Fatal(err)
		}
		if pool.asked != want || (found.err != nil) != fails {
			t.Errorf("asked %q, want %q; the finding is %v", pool.asked, want, found.err)
		}
	}
	examine("C", false)
	examine("", false)
	c.advance(recheckEvery * 2)
	examine("R", false)
	examine("", false)

	pool.answers = []error{&provider.Error{Code: provider.CodeUnavailable}, &provider.Error{Code: provider.CodeUnavailable}}
	c.advance(recheckEvery * 2)
	examine("R", true)
	examine("", true)
	c.advance(firstRetry)
	examine("R", true)
	c.advance(firstRetry)
	examine("", true) // the pause has doubled
	c.advance(firstRetry)
	examine("R", false)

	if err := w.c.Get(t.Context(), secretKey(secret), secret); err != nil {
		t.Fatal(err)
	}
	w.patch(secret, func() { secret.Data["token"] = []byte("other") })
	examine("C", false)

	w.patch(secret, func() { secret.Finalizers = nil })
	w.delete(secret)
	w.gone(secret)
	pool.answers = []error{&connections.MissingCredentialsError{}}
	examine("R", true) // a kept connection would hide it
}

func secretKey(s *corev1.Secret) client.ObjectKey {
	return client.ObjectKey{Namespace: s.Namespace, Name: s.Name}
}
