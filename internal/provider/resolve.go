package provider

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"apitoken.dev/operator/internal/credname"
)

// clockSkew is how far a provider's clock may differ from ours when Source
// compares the times of both.
const clockSkew = 5 * time.Minute

// Source is what a provider shows of its credentials. Its methods are the only
// way from a Ref to a credential: they return only credentials that the provider shows
// under Ref.Name. An ID is only a hint, because it can be wrong.
type Source struct {
	// List returns every credential that the provider lists, of any owner. It may leave
	// out credentials of other names, unless the name is empty.
	List func(ctx context.Context, name string) ([]Credential, error)
	// Get returns one credential by its ID; ok is false when the provider reports
	// that it does not exist. Nil: the provider has no such request.
	Get func(ctx context.Context, id string) (shown Credential, ok bool, err error)
	// Listed is how many credentials List returns at most, the newest; 0: all.
	Listed int
	// Where is the place where a user finds a credential that List leaves out,
	// such as "in the portal".
	Where string
}

// Check returns an error, not in doubt, unless the Ref has a name that this
// operator makes. A driver changes no other credential.
func (r Ref) Check() error {
	if r.Name == "" {
		return Invalid("the name of the credential is missing; an id alone is not enough")
	}
	if _, err := credname.Parse(r.Name); err != nil {
		return Invalid("the operator did not create this credential, so it does not change it")
	}
	return nil
}

// Find implements Client.Find. It returns an error in doubt when a credential of
// this name may exist although the provider does not show it.
func (s Source) Find(ctx context.Context, ref Ref) ([]Credential, error) {
	found, err := s.look(ctx, ref)
	if err != nil && len(Occupying(found)) == 0 {
		return nil, err
	}
	return found, nil
}

// Owned implements Client.List, for a provider whose list is one request: it yields the
// credentials of the owner that have not Ended.
func (s Source) Owned(ctx context.Context, owner Owner) iter.Seq2[Credential, error] {
	return func(yield func(Credential, error) bool) {
		listed, err := s.List(ctx, "")
		if err != nil {
			yield(Credential{}, err)
			return
		}
		for _, c := range listed {
			if c.State.Occupies() && owner.Owns(c.Name) && !yield(c, nil) {
				return
			}
		}
	}
}

// Revoke implements Client.Revoke: it calls end for every credential of the name that
// has not Ended. It returns an error when the ID is that of a credential of another name.
func (s Source) Revoke(ctx context.Context, ref Ref, end func(context.Context, Credential) error) error {
	found, unsettled := s.look(ctx, ref)
	for _, c := range Occupying(found) {
		if err := end(ctx, c); err != nil {
			return err
		}
	}
	return unsettled
}

// One returns the credential of the name, for Client.Update. It returns an error,
// not in doubt, when no credential or several have the name, or when its ID differs.
func (s Source) One(ctx context.Context, ref Ref) (Credential, error) {
	found, err := s.look(ctx, ref)
	found = Occupying(found)
	switch {
	case err != nil:
		return Credential{}, err
	case len(found) == 0:
		return Credential{}, Invalid("there is no credential of this name to change; a new credential is needed")
	case len(found) > 1:
		return Credential{}, Invalid("more than one credential has this name, so none was changed; a new credential is needed")
	case ref.ID != "" && found[0].ID != ref.ID:
		return Credential{}, Invalid("the credential of this name has another id, so it was not changed; a new credential is needed")
	}
	return found[0], nil
}

// look returns the credentials that the provider shows under the name, and an error if
// there may be more: both can be set.
func (s Source) look(ctx context.Context, ref Ref) ([]Credential, error) {
	if err := ref.Check(); err != nil {
		return nil, err
	}
	listed, err := s.List(ctx, ref.Name)
	if err != nil {
		return nil, err
	}
	found := named(listed, ref.Name)
	shown := len(found) > 0
	if ref.ID != "" {
		one, ok, err := s.byID(ctx, ref.ID, listed)
		if err != nil {
			return found, err
		}
		if found, err = withID(found, one, ok, ref); err != nil {
			return found, err
		}
		shown = shown || s.Get != nil || ok
	}
	if !shown && s.hides(listed, ref.Since) {
		return nil, s.unlisted(ref)
	}
	return found, nil
}

// named returns what a list shows under a name.
func named(listed []Credential, name string) []Credential {
	return slices.DeleteFunc(slices.Clone(listed), func(c Credential) bool { return c.Name != name })
}

// withID adds the credential of the reference's ID, if there is one, unless it is
// among those found. A credential of another name is an error, unless it has Ended.
func withID(found []Credential, one Credential, there bool, ref Ref) ([]Credential, error) {
	switch {
	case !there:
		return found, nil
	case one.Name != ref.Name && one.State.Occupies():
		return found, misnamed(ref)
	case one.Name != ref.Name, slices.ContainsFunc(found, func(c Credential) bool { return c.ID == one.ID }):
		return found, nil
	}
	return append(found, one), nil
}

// byID returns the credential of an ID from the list, or requests it.
func (s Source) byID(ctx context.Context, id string, listed []Credential) (Credential, bool, error) {
	if i := slices.IndexFunc(listed, func(c Credential) bool { return c.ID == id }); i >= 0 {
		return listed[i], true, nil
	}
	if s.Get == nil {
		return Credential{}, false, nil
	}
	return s.Get(ctx, id)
}

// hides reports whether a credential made after since can be missing from the
// list. It cannot when the list has room, or goes back to a time before since.
func (s Source) hides(listed []Credential, since time.Time) bool {
	if s.Listed == 0 || len(listed) < s.Listed {
		return false
	}
	return since.IsZero() || !slices.ContainsFunc(listed, func(c Credential) bool {
		return !c.CreatedAt.IsZero() && c.CreatedAt.Before(since.Add(-clockSkew))
	})
}

// misnamed is the error for an ID of a credential of another name. That is never
// "gone": a user may have renamed the credential.
func misnamed(ref Ref) *Error {
	return &Error{Code: CodeInvalid, NotExecuted: true, Message: "the credential with the id of " + ref.Name +
		" has another name at the provider, so the operator does not change it: rename it back, or delete it there"}
}

func (s Source) unlisted(ref Ref) *Error {
	return &Error{Code: CodeUnavailable, Message: fmt.Sprintf(
		"could not find the credential %s: the provider lists only its newest %d, and it may be older: look for it %s and delete it there, or delete others that are not needed",
		ref.Name, s.Listed, s.Where)}
}
