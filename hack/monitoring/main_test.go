package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFilesAreCurrent(t *testing.T) {
	if err := run(filepath.Join("..", ".."), "docs/runbooks", true); err != nil {
		t.Error(err)
	}
}

func TestCheckFindsWhatIsNotCurrent(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"charts/apitoken-operator/files", "docs"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(root, "docs/runbooks", true); err == nil {
		t.Error("missing files are current")
	}
	if err := run(root, "docs/runbooks", false); err != nil {
		t.Fatal(err)
	}
	if err := run(root, "docs/runbooks", true); err != nil {
		t.Error(err)
	}
	err := run(root, "https://example.com/runbooks", true)
	if err == nil || !strings.Contains(err.Error(), "alerts.yaml") || strings.Contains(err.Error(), "dashboard") {
		t.Errorf("with other runbooks: %v", err)
	}
}
