package cli_test

import (
	"testing"
	"unicode"

	"github.com/spf13/pflag"

	"apitoken.dev/operator/internal/cli"
	"apitoken.dev/operator/internal/cli/session"
)

// The help of each flag starts with a capital letter, including that of flags from libraries.
func TestFlagHelpIsASentence(t *testing.T) {
	for _, cmd := range cli.New(session.Env{}).Commands() {
		if name := cmd.Name(); name == "completion" || name == "help" {
			continue
		}
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && !unicode.IsUpper([]rune(f.Usage + " ")[0]) {
				t.Errorf("%s --%s: %q", cmd.Name(), f.Name, f.Usage)
			}
		})
	}
}
