package proxyscrape

import (
	"strconv"
	"strings"
	"testing"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
	"apitoken.dev/operator/test/support/repofile"
	"apitoken.dev/operator/test/support/simulate/proxyscrapesim"
)

// With more keys than documented, the provider is not Ready.
func TestDocumentedNumberOfKeysFitsOneAnswer(t *testing.T) {
	if says := "4,000 keys with one permission each, or 1,300 with all 22"; !strings.Contains(strings.Join(strings.Fields(repofile.Read(t, docsFile)), " "), says) {
		t.Errorf("%s does not say: %s", docsFile, says)
	}
	expires := start.Unix()
	for _, c := range []struct {
		fit, tooMany int
		permissions  []string
	}{
		{4000, 4200, documented[:1]},
		{1300, 1400, documented},
	} {
		s := newStub(t)
		driver := bounded.Driver(New(), bounded.Options{})
		add := func(from, to int) error {
			for i := range to - from {
				s.Add(proxyscrapesim.Key{Name: strings.Repeat("n", 48), Token: strconv.Itoa(from + i), Permissions: c.permissions, Expires: &expires})
			}
			_, _, err := driver.Connect(t.Context(), s.config)
			return err
		}
		if err := add(0, c.fit); err != nil {
			t.Errorf("%d keys with %d permissions: %v", c.fit, len(c.permissions), err)
		}
		if err := add(c.fit, c.tooMany); !strings.Contains(provider.AsError(err).Message, "more than 1 MiB at once") {
			t.Errorf("%d keys with %d permissions: %v", c.tooMany, len(c.permissions), err)
		}
	}
}
