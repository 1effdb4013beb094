package commands

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const guide = "# Guide\n\n```sh\nmake demo\n```\n\n## One\n\n```sh\nA=x\nB=y # not this\necho \"$A\" <<EOF\n# no heading\nEOF\n```\n\n" +
	"```console\n$ echo\n```\n\n1. Step:\n\n   ```sh\n   kubectl keep it\n   ```\n\n### Other\n\n```sh\nA=z\n```\n\n## Empty\n"

func TestScriptIsWhatAReaderTypes(t *testing.T) {
	got, err := Script{Sections: []string{"One", "Other"}, Skip: []string{"kubectl keep"}, Set: map[string]string{"A": "it's"}}.Of("p.md", guide)
	want := "A='it'\\''s'\nB=y # not this\necho \"$A\" <<EOF\n# no heading\nEOF\nA='it'\\''s'\n"
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v, script (-want +got):\n%s", err, diff)
	}
}

func TestScriptNoticesThatThePageChanged(t *testing.T) {
	for want, s := range map[string]Script{
		"no heading":          {Sections: []string{"Two"}},
		"no block of command": {Sections: []string{"Empty"}},
		"no block to skip":    {Sections: []string{"One"}, Skip: []string{"helm"}},
		"no line C=":          {Sections: []string{"One"}, Set: map[string]string{"C": ""}},
	} {
		if _, err := s.Of("p.md", guide); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// make e2e runs the version that the example's cluster pulls.
func TestExampleHasThePinnedImage(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	module, err := os.ReadFile(filepath.Join(root, "hack", "tools", "s5cmd", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	pinned := regexp.MustCompile(`github\.com/peak/s5cmd/v2 (v[0-9.]+)`).FindStringSubmatch(string(module))
	if pinned == nil {
		t.Fatalf("no version of s5cmd in\n%s", module)
	}
	content, err := os.ReadFile(filepath.Join(root, "docs", "getting-started.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), "image: peakcom/s5cmd:"+pinned[1]+"\n") {
		t.Errorf("the Job of docs/getting-started.md does not have the image peakcom/s5cmd:%s", pinned[1])
	}
}
