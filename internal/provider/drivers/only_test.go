package drivers

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"apitoken.dev/operator/api/v1alpha1"
)

// ownPlaces are the paths that can name a driver: see "Adding a driver" in CONTRIBUTING.md.
func ownPlaces(driver string) []string {
	return []string{
		"internal/provider/drivers/" + driver + "/",
		"internal/provider/drivers/all.go",
		"test/support/simulate/" + driver + "sim/",
		"api/v1alpha1/",
		"test/e2e/", // tests with real servers
		"hack/docs/commands/",
	}
}

// Tests can name a driver. rest is an exception, because commands render its requests.
func TestOnlyADriversOwnFilesNameIt(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	for _, driver := range v1alpha1.Blocks() {
		if driver == "rest" {
			continue
		}
		named := regexp.MustCompile(`drivers/` + driver + `"`)
		if driver != "aws" { // the examples in comments, and of tests, are of AWS
			named = regexp.MustCompile(`(?i:` + driver + `)`)
		}
		own, seen := ownPlaces(driver), 0
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			name = filepath.ToSlash(name)
			content, err := os.ReadFile(path)
			if err != nil || !named.Match(content) {
				return err
			}
			seen++
			if strings.HasSuffix(name, "_test.go") || isOwn(name, own) {
				return nil
			}
			t.Errorf("%s names the driver %s: %q", name, driver, named.Find(content))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if seen == 0 {
			t.Errorf("no file names the driver %s", driver)
		}
	}
}

func isOwn(name string, own []string) bool {
	for _, place := range own {
		if strings.HasPrefix(name, place) {
			return true
		}
	}
	return false
}
