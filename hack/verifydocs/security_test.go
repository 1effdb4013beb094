package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"apitoken.dev/operator/test/support/repofile"
)

// Every threat in SECURITY.md names a test, and the file after the test has it.
func TestSecurityNamesTests(t *testing.T) {
	_, section, found := strings.Cut(repofile.Read(t, "SECURITY.md"), "\n## What holds, and the test that proves it\n")
	if !found {
		t.Fatal("SECURITY.md has no section of threats")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	threats := strings.Split(section, "\n- ")[1:]
	if len(threats) < 60 {
		t.Errorf("found %d threats", len(threats))
	}
	for _, threat := range threats {
		_, tests, _ := strings.Cut(threat, "\n  Tests: ")
		checkThreat(t, strings.SplitN(threat, "\n", 2)[0], tests)
	}
}

// mention matches the name of a test, or of its file.
var mention = regexp.MustCompile("`(Test\\w+)`|`([\\w/.-]+_test\\.go)`")

// checkThreat checks a list of tests. Each file follows its tests.
func checkThreat(t *testing.T, threat, tests string) {
	t.Helper()
	var names []string
	found := 0
	for _, match := range mention.FindAllStringSubmatch(tests, -1) {
		if match[1] != "" {
			names = append(names, match[1])
			continue
		}
		source, err := os.ReadFile(repofile.Path(match[2]))
		if err != nil {
			t.Errorf("%s: %v", threat, err)
		}
		for _, name := range names {
			if !strings.Contains(string(source), "\nfunc "+name+"(t *testing.T) ") {
				t.Errorf("%s: %s has no %s", threat, match[2], name)
			}
		}
		found, names = found+len(names), nil
	}
	if found == 0 || len(names) > 0 {
		t.Errorf("%q: %d tests with their file, and without: %q", threat, found, names)
	}
}
