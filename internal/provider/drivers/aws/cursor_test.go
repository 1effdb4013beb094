package aws

import (
	"errors"
	"slices"
	"testing"

	"apitoken.dev/operator/internal/provider"
)

// from lists the credentials of the cluster from a cursor.
func from(t *testing.T, client provider.Client, c *provider.Cursor) (names []string, err error) {
	t.Helper()
	for credential, err := range client.List(provider.WithCursor(t.Context(), c), provider.Owner{Cluster: cluster}) {
		if err != nil {
			return names, err
		}
		names = append(names, credential.Name)
	}
	return names, nil
}

func TestListStartsAtTheMarkerOfTheCursor(t *testing.T) {
	s := newSimulator(t)
	client, _ := connect(t, s.config())
	var all []string
	for range 5 {
		minted, err := client.Mint(t.Context(), request(t, "ml", "training"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, minted.Credential.Name)
	}
	// The second user of the second page cannot be read.
	looked := 0
	s.fault = func(action string, _ func()) *answer {
		if action != "ListAccessKeys" {
			return nil
		}
		if looked++; looked < 4 {
			return nil
		}
		denied := failed(403, "AccessDenied")
		return &denied
	}
	cut := provider.NewCursor("")
	if names, err := from(t, client, cut); err == nil || !slices.Equal(names, all[:3]) || cut.Next() != "2" {
		t.Errorf("cut: %d names, %v, next %q", len(names), err, cut.Next())
	}
	s.fault = nil
	rest := provider.NewCursor(cut.Next())
	if names, err := from(t, client, rest); err != nil || !slices.Equal(names, all[2:]) || rest.Next() != "" {
		t.Errorf("from %q: %d names, %v, next %q", rest.Start(), len(names), err, rest.Next())
	}
	// An expired marker is an error other than ErrCut.
	old := provider.NewCursor("old")
	names, err := from(t, client, old)
	if err == nil || errors.Is(err, provider.ErrCut) || provider.AsError(err).Code != provider.CodeInvalid || names != nil || old.Next() != "" {
		t.Errorf("from an old marker: %d names, %v, next %q", len(names), err, old.Next())
	}
}
