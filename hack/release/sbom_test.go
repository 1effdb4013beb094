package main

import (
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// A module that a directory replaces has no checksum.
func TestReleaseRefusesModulesWithoutChecksum(t *testing.T) {
	published := cdx.Component{Name: "example.com/a", Version: "v1.0.0", Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: "ab"}}}
	std := cdx.Component{Name: "std", Version: "go1.26.0"}
	if err := checkPublished(&cdx.BOM{Components: &[]cdx.Component{published, std}}); err != nil {
		t.Errorf("published modules: %v", err)
	}
	local := cdx.Component{Name: "../fork"}
	if err := checkPublished(&cdx.BOM{Components: &[]cdx.Component{published, local}}); err == nil || !strings.Contains(err.Error(), "../fork") {
		t.Errorf("a directory: %v", err)
	}
}
