package commands

import (
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
