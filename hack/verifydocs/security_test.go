package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityNamesTests: every row of SECURITY.md's table of threats names a test, and every test that it names is in the
// file that stands after it.
func TestSecurityNamesTests(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	mention := regexp.MustCompile("`(Test\\w+)`|`([\\w/.-]+_test\\.go)`")
	for _, row := range rows(string(content), "## What holds, and the test that proves it") {
		if len(row) != 3 {
			t.Errorf("not three cells: %q", row)
			continue
		}
		var names []string
		found := 0
		for _, match := range mention.FindAllStringSubmatch(row[2], -1) {
			if match[1] != "" {
				names = append(names, match[1])
				continue
			}
			source, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(match[2])))
			if err != nil {
				t.Errorf("%s: %v", row[0], err)
			}
			for _, name := range names {
				if !strings.Contains(string(source), "\nfunc "+name+"(t *testing.T) ") {
					t.Errorf("%s: %s has no %s", row[0], match[2], name)
				}
			}
			found, names = found+len(names), nil
		}
		if found == 0 || len(names) > 0 {
			t.Errorf("%q: %d tests with their file, and without: %q", row[0], found, names)
		}
	}
}
