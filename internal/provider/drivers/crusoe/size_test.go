package crusoe

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
	"apitoken.dev/operator/test/support/repofile"
	"apitoken.dev/operator/test/support/simulate/crusoesim"
)

// The documentation states the number.
func TestListOfTooManyKeysIsAnError(t *testing.T) {
	const fit, tooMany = 3600, 3700
	if says := "3,600 keys"; !strings.Contains(strings.Join(strings.Fields(repofile.Read(t, docsFile)), " "), says) {
		t.Errorf("%s does not say: %s", docsFile, says)
	}
	a := newAccount(t)
	more := users[:1:1]
	for i := range tooMany {
		more = append(more, crusoesim.User{ID: fmt.Sprintf("%s%05d", userID[:31], i), Organizations: []string{organization}})
	}
	a.Simulator = crusoesim.New(a.clock.Now, more...)
	a.ListsAll = true
	driver := bounded.Driver(a.driver, bounded.Options{})
	add := func(from, to int) error {
		for _, u := range more[1+from : 1+to] {
			if _, err := a.Make(t.Context(), u.ID, organization, strings.Repeat("n", 48), start.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		_, _, err := driver.Connect(t.Context(), a.config)
		return err
	}
	if err := add(0, fit); err != nil {
		t.Errorf("%d keys: %v", fit, err)
	}
	if err := add(fit, tooMany); !strings.Contains(provider.AsError(err).Message, "more than 1 MiB at once") {
		t.Errorf("%d keys: %v", tooMany, err)
	}
}
