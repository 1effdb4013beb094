package provider_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
)

const (
	myName    = "at1-cccccccc-wpvwc67y4ghradm7-1-aaaaaaaaaa"
	otherName = "at1-cccccccc-wpvwc67y4ghradm7-2-bbbbbbbbbb"
)

var made = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func seen(name, id string) provider.Credential {
	return provider.Credential{Name: name, ID: id, State: provider.Live, CreatedAt: made}
}

func ended(name, id string) provider.Credential {
	out := seen(name, id)
	out.State = provider.Ended
	return out
}

// TestOnlyCredentialsOfTheNameAreFoundAndRevoked checks for lists and answers what Find returns, what Revoke
// ends, and which of them return an error because the credential may exist.
func TestOnlyCredentialsOfTheNameAreFoundAndRevoked(t *testing.T) {
	full := []provider.Credential{seen("a", "A"), seen("b", "B"), seen("c", "C")}
	cases := map[string]struct {
		list      []provider.Credential
		byID      map[string]provider.Credential // nil: the provider cannot be asked
		listed    int
		ref       provider.Ref
		found     []string
		ended     bool // what is found has ended
		findErr   provider.Code
		revokeErr provider.Code
	}{
		"the name":                        {list: []provider.Credential{seen(myName, "1"), seen(otherName, "2")}, ref: provider.Ref{Name: myName}, found: []string{"1"}},
		"the name twice":                  {list: []provider.Credential{seen(myName, "1"), seen(myName, "2")}, ref: provider.Ref{Name: myName, ID: "1"}, found: []string{"1", "2"}},
		"it ended":                        {list: []provider.Credential{ended(myName, "1")}, ref: provider.Ref{Name: myName, ID: "1"}, found: []string{"1"}, ended: true},
		"nothing":                         {ref: provider.Ref{Name: myName, ID: "1"}},
		"another's ID":                    {list: []provider.Credential{seen(otherName, "2")}, ref: provider.Ref{Name: myName, ID: "2"}, findErr: provider.CodeInvalid, revokeErr: provider.CodeInvalid},
		"another's ID that ended":         {list: []provider.Credential{ended(otherName, "2")}, ref: provider.Ref{Name: myName, ID: "2"}},
		"mine, and another's ID":          {list: []provider.Credential{seen(myName, "1"), seen(otherName, "2")}, ref: provider.Ref{Name: myName, ID: "2"}, found: []string{"1"}, revokeErr: provider.CodeInvalid},
		"unlisted":                        {list: full, listed: 3, ref: provider.Ref{Name: myName}, findErr: provider.CodeUnavailable, revokeErr: provider.CodeUnavailable},
		"unlisted, no way to ask":         {list: full, listed: 3, ref: provider.Ref{Name: myName, ID: "1"}, findErr: provider.CodeUnavailable, revokeErr: provider.CodeUnavailable},
		"unlisted, but newer":             {list: full, listed: 3, ref: provider.Ref{Name: myName, Since: made.Add(6 * time.Minute)}},
		"unlisted, by clocks that differ": {list: full, listed: 3, ref: provider.Ref{Name: myName, Since: made.Add(5 * time.Minute)}, findErr: provider.CodeUnavailable, revokeErr: provider.CodeUnavailable},
		"the list has room":               {list: full, listed: 4, ref: provider.Ref{Name: myName}},
		"unlisted, shown by its ID":       {list: full, listed: 3, byID: map[string]provider.Credential{"1": seen(myName, "1")}, ref: provider.Ref{Name: myName, ID: "1"}, found: []string{"1"}},
		"unlisted, and gone":              {list: full, listed: 3, byID: map[string]provider.Credential{}, ref: provider.Ref{Name: myName, ID: "1"}},
		"unlisted, and ended":             {list: full, listed: 3, byID: map[string]provider.Credential{"1": ended(myName, "1")}, ref: provider.Ref{Name: myName, ID: "1"}, found: []string{"1"}, ended: true},
		"a full list shows that it ended": {list: append(full[:2:2], ended(myName, "1")), listed: 3, ref: provider.Ref{Name: myName}, found: []string{"1"}, ended: true},
		"unlisted, the ID is another's":   {list: full, listed: 3, byID: map[string]provider.Credential{"2": seen(otherName, "2")}, ref: provider.Ref{Name: myName, ID: "2"}, findErr: provider.CodeInvalid, revokeErr: provider.CodeInvalid},
		"no name":                         {list: []provider.Credential{seen("", "1")}, ref: provider.Ref{ID: "1"}, findErr: provider.CodeInvalid, revokeErr: provider.CodeInvalid},
		"a name that is not ours":         {list: full, ref: provider.Ref{Name: "a", ID: "A"}, findErr: provider.CodeInvalid, revokeErr: provider.CodeInvalid},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := provider.Source{Listed: tc.listed, Where: "there", List: func(context.Context, string) ([]provider.Credential, error) { return tc.list, nil }}
			if tc.byID != nil {
				s.Get = func(_ context.Context, id string) (provider.Credential, bool, error) {
					c, ok := tc.byID[id]
					return c, ok, nil
				}
			}
			found, err := s.Find(t.Context(), tc.ref)
			var ids []string
			for _, c := range found {
				ids = append(ids, c.ID)
			}
			if !slices.Equal(ids, tc.found) || codeOf(err) != tc.findErr {
				t.Errorf("Find: got %v and error %v, want %v and %q", ids, err, tc.found, tc.findErr)
			}
			var gone []string
			err = s.Revoke(t.Context(), tc.ref, func(_ context.Context, c provider.Credential) error { gone = append(gone, c.ID); return nil })
			revoked := tc.found
			if tc.ended {
				revoked = nil
			}
			if !slices.Equal(gone, revoked) || codeOf(err) != tc.revokeErr {
				t.Errorf("Revoke: got %v and error %v, want %v and %q", gone, err, revoked, tc.revokeErr)
			}
		})
	}
}

func codeOf(err error) provider.Code {
	if err == nil {
		return ""
	}
	return provider.AsError(err).Code
}

func TestOneReturnsTheOnlyCredentialOfTheName(t *testing.T) {
	list := []provider.Credential{seen(myName, "1")}
	s := provider.Source{List: func(context.Context, string) ([]provider.Credential, error) { return list, nil }}
	for _, ref := range []provider.Ref{{Name: myName}, {Name: myName, ID: "1"}} {
		if got, err := s.One(t.Context(), ref); err != nil || got.ID != "1" {
			t.Errorf("%+v: got %+v, %v", ref, got, err)
		}
	}
	for _, ref := range []provider.Ref{{}, {ID: "1"}, {Name: otherName}, {Name: otherName, ID: "1"}, {Name: myName, ID: "2"}} {
		if got, err := s.One(t.Context(), ref); err == nil || provider.InDoubt(err) {
			t.Errorf("%+v: got %+v, %v", ref, got, err)
		}
	}
	list = append(list, ended(myName, "2"))
	if got, err := s.One(t.Context(), provider.Ref{Name: myName}); err != nil || got.ID != "1" {
		t.Errorf("one that is not ended: got %+v, %v", got, err)
	}
	list = append(list, seen(myName, "3"))
	if got, err := s.One(t.Context(), provider.Ref{Name: myName, ID: "1"}); err == nil {
		t.Errorf("one of two: got %+v", got)
	}
}

func TestOwnedYieldsTheOwnersCredentialsThatHaveNotEnded(t *testing.T) {
	list := []provider.Credential{seen("a", "A"), seen(myName, "1"), ended(myName, "2"), seen(otherName, "3")}
	s := provider.Source{List: func(context.Context, string) ([]provider.Credential, error) { return list, nil }}
	var ids []string
	for c, err := range s.Owned(t.Context(), provider.Owner{Cluster: "cccccccc"}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, c.ID)
	}
	if want := []string{"1", "3"}; !slices.Equal(ids, want) {
		t.Errorf("got %v, want %v", ids, want)
	}
}

// TestUnreadableListIsAnError: errors of the provider are returned, and so is the error of a
// credential that could not be ended.
func TestUnreadableListIsAnError(t *testing.T) {
	broken := errors.New("broken")
	never := func(context.Context, provider.Credential) error { t.Error("something was ended"); return nil }
	s := provider.Source{List: func(context.Context, string) ([]provider.Credential, error) { return nil, broken }}
	if _, err := s.Find(t.Context(), provider.Ref{Name: myName}); !errors.Is(err, broken) {
		t.Errorf("Find: %v", err)
	}
	if err := s.Revoke(t.Context(), provider.Ref{Name: myName}, never); !errors.Is(err, broken) {
		t.Errorf("Revoke: %v", err)
	}
	for _, err := range s.Owned(t.Context(), provider.Owner{}) {
		if !errors.Is(err, broken) {
			t.Errorf("Owned: %v", err)
		}
	}
	s.List = func(context.Context, string) ([]provider.Credential, error) { return nil, nil }
	s.Get = func(context.Context, string) (provider.Credential, bool, error) {
		return provider.Credential{}, false, broken
	}
	if err := s.Revoke(t.Context(), provider.Ref{Name: myName, ID: "1"}, never); !errors.Is(err, broken) {
		t.Errorf("Revoke by an ID that cannot be asked for: %v", err)
	}
	s.List = func(context.Context, string) ([]provider.Credential, error) {
		return []provider.Credential{ended(myName, "2")}, nil
	}
	if _, err := s.Find(t.Context(), provider.Ref{Name: myName, ID: "1"}); !errors.Is(err, broken) {
		t.Errorf("Find of an ID that cannot be looked up, with another that has ended: %v", err)
	}
	s.List = func(context.Context, string) ([]provider.Credential, error) {
		return []provider.Credential{seen(myName, "1")}, nil
	}
	err := s.Revoke(t.Context(), provider.Ref{Name: myName}, func(context.Context, provider.Credential) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("Revoke that failed: %v", err)
	}
}
