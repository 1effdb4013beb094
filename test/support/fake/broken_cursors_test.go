package fake_test

import (
	"context"
	"iter"
	"strconv"

	"apitoken.dev/operator/internal/provider"
)

// inPairs is the list of a provider with two credentials on a page. Early notes the
// next page before the consumer took the last one; late forgets to note the end.
func (c *brokenClient) inPairs(early, late bool) {
	c.list = func(ctx context.Context, owner provider.Owner) iter.Seq2[provider.Credential, error] {
		return func(yield func(provider.Credential, error) bool) {
			var all []provider.Credential
			for credential, err := range c.Client.List(ctx, owner) {
				if err != nil {
					yield(credential, err)
					return
				}
				all = append(all, credential)
			}
			cursor := provider.CursorOf(ctx)
			from, _ := strconv.Atoi(cursor.Start())
			for i, credential := range all[min(from, len(all)):] {
				switch at := from + i; {
				case at%2 == 0 && early:
					cursor.Advance(strconv.Itoa(at + 2))
				case at%2 == 0 && i > 0:
					cursor.Advance(strconv.Itoa(at))
				}
				if !yield(credential, nil) {
					return
				}
			}
			if !late {
				cursor.Advance("")
			}
		}
	}
}

// brokenCursors are breaches of drivers that lose their place.
var brokenCursors = map[string]breach{
	"the cursor goes ahead":   {requirements: []string{"StoppedListContinues"}, breaks: func(c *brokenClient) { c.inPairs(true, false) }},
	"the cursor stays behind": {requirements: []string{"StoppedListContinues"}, breaks: func(c *brokenClient) { c.inPairs(false, true) }},
}
