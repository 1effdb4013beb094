package rest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"apitoken.dev/operator/internal/provider"
)

// maxPages is the maximum number of pages of a list, in case it never ends. A list that is
// held in memory also has at most maxElements.
const maxPages = 1000

const listing = "list the credentials"

// source is what the vendor shows: its list, and each credential by its ID if get is declared.
// The name is sent with a get that identifies the credential by its name.
func (c *client) source(name string) provider.Source {
	out := provider.Source{Listed: int(c.p.settings.Limits.Listed), Where: "at the provider", List: c.kept}
	if c.p.get != nil {
		out.Get = func(ctx context.Context, id string) (provider.Credential, bool, error) {
			return c.known(ctx, provider.Ref{Name: name, ID: id})
		}
	}
	return out
}

// Find implements provider.Client.
func (c *client) Find(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
	return c.source(ref.Name).Find(ctx, ref)
}

// known reads one credential with get.
func (c *client) known(ctx context.Context, ref provider.Ref) (provider.Credential, bool, error) {
	var found provider.Credential
	err := c.show(ctx, ref, func(ctx context.Context, item any) (err error) {
		if found, err = c.describe(ctx, map[string]any{varItem: item}, true); err != nil {
			return unclear(showing, err.Error())
		}
		if c.p.get.reads[fieldID] && found.ID != ref.ID {
			return unclear(showing, "the provider answered with another credential than the one asked for")
		}
		return nil
	})
	if errors.Is(err, errNone) {
		return provider.Credential{}, false, nil
	}
	if err != nil {
		return provider.Credential{}, false, err
	}
	return found, true, nil
}

// errNone means that the credential does not exist.
var errNone = errors.New("no such credential")

const showing = "read the credential"

// show calls see with a credential as the vendor shows it: with get if it is declared,
// otherwise in the list.
func (c *client) show(ctx context.Context, ref provider.Ref, see func(ctx context.Context, item any) error) error {
	if c.p.get == nil {
		return c.listed(ctx, ref, see)
	}
	err := c.send(ctx, c.p.get, showing, refData(ref), func(ctx context.Context, vars map[string]any) error {
		item, err := c.p.getItem.eval(ctx, vars)
		if err != nil {
			return unclear(showing, err.Error())
		}
		return see(ctx, item)
	}, gone...)
	if errors.Is(err, errAccepted) {
		return none()
	}
	return err
}

func none() error {
	e := provider.Invalid("there is no such credential")
	e.Err = errNone
	return e
}

// listed calls see with the first credential in the list that has the ID.
func (c *client) listed(ctx context.Context, ref provider.Ref, see func(ctx context.Context, item any) error) error {
	seen := false
	look := func(ctx context.Context, item any, found provider.Credential) error {
		if seen || found.ID != ref.ID {
			return nil
		}
		seen = true
		return see(ctx, item)
	}
	for _, err := range c.pages(ctx, ref.Name, nil, look) {
		if err != nil || seen {
			return err
		}
	}
	return none()
}

// List implements provider.Client.
func (c *client) List(ctx context.Context, owner provider.Owner) iter.Seq2[provider.Credential, error] {
	return func(yield func(provider.Credential, error) bool) {
		for credential, err := range c.all(ctx, "", provider.CursorOf(ctx)) {
			if err != nil {
				yield(provider.Credential{}, err)
				return
			}
			if credential.State.Occupies() && owner.Owns(credential.Name) && !yield(credential, nil) {
				return
			}
		}
	}
}

// all yields every credential that the vendor lists, of any creator, from the page of the
// cursor; a nil cursor is the first page. The name can be sent as a filter. The caller must
// filter the results again.
func (c *client) all(ctx context.Context, name string, cursor *provider.Cursor) iter.Seq2[provider.Credential, error] {
	return func(yield func(provider.Credential, error) bool) {
		for page, err := range c.pages(ctx, name, cursor, nil) {
			if err != nil {
				yield(provider.Credential{}, err)
				return
			}
			for _, credential := range page {
				if !yield(credential, nil) {
					return
				}
			}
		}
	}
}

// kept returns every credential that the vendor lists, without those of other names that have
// Ended: some vendors list these forever. They are included if limits.listed is set, because
// then the length of the list decides whether it is complete.
func (c *client) kept(ctx context.Context, name string) ([]provider.Credential, error) {
	var out []provider.Credential
	for credential, err := range c.all(ctx, name, nil) {
		if err != nil {
			return nil, err
		}
		if !credential.State.Occupies() && credential.Name != name && c.p.settings.Limits.Listed == 0 {
			continue
		}
		if out = append(out, credential); len(out) > maxElements {
			return nil, unclear(listing, fmt.Sprintf("the list has more than %d elements", maxElements))
		}
	}
	return out, nil
}

// look is called with each element of a list and the credential that it describes, while the
// answer counts as being decoded.
type look func(ctx context.Context, item any, described provider.Credential) error

// pages yields the credentials of every page, from the page of the cursor. Before that it
// calls see, unless it is nil, with each credential of the page.
func (c *client) pages(ctx context.Context, name string, cursor *provider.Cursor, see look) iter.Seq2[[]provider.Credential, error] {
	return func(yield func([]provider.Credential, error) bool) {
		at := pageOf(cursor.Start())
		for asked := 1; ; asked++ {
			found, next, err := c.page(ctx, name, at, see)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(found, nil) {
				return
			}
			following := place{number: at.number + 1, name: next}
			cursor.Advance(following.marker())
			switch {
			case next == "":
				return
			case next == at.name:
				yield(nil, unclear(listing, "spec.rest.list.next names the same page again"))
				return
			case asked == maxPages:
				e := unclear(listing, fmt.Sprintf("spec.rest.list.next names more than %d pages", maxPages))
				e.Err = provider.ErrCut
				yield(nil, e)
				return
			}
			at = following
		}
	}
}

// place is a page of the list: its number, from 1, and its token, as sent with the request.
// The first page has no token.
type place struct {
	number int64
	name   string
}

// marker encodes the place for a Cursor, such as "2 eyJpZCI6MX0". It is "" if there is no
// page.
func (p place) marker() string {
	if p.name == "" {
		return ""
	}
	return strconv.FormatInt(p.number, 10) + " " + p.name
}

// pageOf decodes a marker.
func pageOf(marker string) place {
	number, name, _ := strings.Cut(marker, " ")
	if n, err := strconv.ParseInt(number, 10, 64); err == nil && name != "" {
		return place{number: n, name: name}
	}
	return place{number: 1}
}

// page returns one page of the list, and the token of the next one; "" at the end.
func (c *client) page(ctx context.Context, name string, at place, see look) (found []provider.Credential, next string, err error) {
	data := map[string]any{fieldName: name, fieldPage: at.name}
	err = c.send(ctx, c.p.list, listing, data, func(ctx context.Context, vars map[string]any) error {
		found, next, err = c.readPage(ctx, with(vars, varPage, at.number), see)
		return err
	})
	return found, next, err
}

func (c *client) readPage(ctx context.Context, vars map[string]any, see look) (found []provider.Credential, next string, err error) {
	if vars[varBody] == nil {
		return nil, "", unclear(listing, "the provider answered with null, which is no list")
	}
	items, err := c.p.items.list(ctx, vars)
	if err != nil {
		return nil, "", unclear(listing, err.Error())
	}
	for _, item := range items {
		credential, err := c.describe(ctx, map[string]any{varItem: item}, true)
		if err != nil {
			return nil, "", unclear(listing, err.Error())
		}
		if see != nil {
			if err := see(ctx, item, credential); err != nil {
				return nil, "", err
			}
		}
		found = append(found, credential)
	}
	if c.p.next == nil {
		return found, "", nil
	}
	if next, err = c.p.next.word(ctx, vars); err != nil {
		return nil, "", unclear(listing, err.Error())
	}
	if next == "0" {
		next = ""
	}
	return found, next, nil
}

// describe reads the properties of a credential. With named, it must have an ID and a name, and
// its state is read: only the answer to a mint can lack them.
func (c *client) describe(ctx context.Context, vars map[string]any, named bool) (provider.Credential, error) {
	out := provider.Credential{State: provider.Live}
	var err error
	if out.ID, err = c.p.id.word(ctx, vars); err != nil {
		return provider.Credential{}, err
	}
	if out.Name, err = c.p.name.word(ctx, vars); err != nil && named {
		return provider.Credential{}, err
	}
	if out.ID == "" && named {
		return provider.Credential{}, fmt.Errorf("%s returns nothing", c.p.id.field)
	}
	if named {
		if out.State, err = c.state(ctx, vars); err != nil {
			return provider.Credential{}, err
		}
	}
	for _, moment := range []struct {
		e  *expression
		to *time.Time
	}{{c.p.createdAt, &out.CreatedAt}, {c.p.expiresAt, &out.ExpiresAt}} {
		if moment.e == nil {
			continue
		}
		if *moment.to, err = moment.e.time(ctx, vars); err != nil {
			return provider.Credential{}, err
		}
	}
	return out, nil
}
