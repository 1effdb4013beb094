package commands

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const page = "# Page\n\n```sh\n# a comment\nmake demo\nkubectl apply -f - <<EOF\na: b\nEOF\nfor x in a b; do\n  kubectl get \"$x\" |\n    grep y\ndone\n```\n\n" +
	"1. Step:\n\n   ```console\n   $ kubectl get pods \\\n       -A\n   NAME  AGE\n   a     5s\n   $ kubectl version\n   ```\n\n" +
	"```yaml\nkind: X\n```\n\n```console\naws iam x\naws iam y\n```\n"

func TestCommandsAreReadFromBlocks(t *testing.T) {
	var got []Command
	for _, b := range Blocks("p.md", page) {
		commands, err := b.Commands()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, commands...)
	}
	want := []Command{
		{"p.md", 5, "make demo\n", ""},
		{"p.md", 6, "kubectl apply -f - <<EOF\na: b\nEOF\n", ""},
		{"p.md", 9, "for x in a b; do\n  kubectl get \"$x\" |\n    grep y\ndone\n", ""},
		{"p.md", 18, "kubectl get pods \\\n    -A\n", "NAME  AGE\na     5s\n"},
		{"p.md", 22, "kubectl version\n", "\n"},
		{"p.md", 30, "aws iam x\n", ""},
		{"p.md", 31, "aws iam y\n", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

func TestBrokenCommandIsAnError(t *testing.T) {
	for _, text := range []string{"```sh\necho 'open\n```\n", "```console\n$ if true\n```\n", "```sh\n)\n```\n"} {
		for _, b := range Blocks("p.md", text) {
			if _, err := b.Commands(); err == nil || !strings.Contains(err.Error(), "p.md:2") {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
}

func TestProgramsOfACommandAreFound(t *testing.T) {
	got, err := Programs("A=b kubectl get x | sed s/a/b/ && for f in $(ls); do cat \"$f\"; done")
	if diff := cmp.Diff([]string{"cat", "kubectl", "ls", "sed"}, got); diff != "" || err != nil {
		t.Errorf("error %v, programs (-want +got):\n%s", err, diff)
	}
	if _, err := Programs("$EDITOR file"); err == nil {
		t.Error("a program without a name, and no error")
	}
	calls, err := Calls("kubectl get x -o json > f && kubectl logs y | head", "kubectl")
	if diff := cmp.Diff([]string{"kubectl get x -o json", "kubectl logs y"}, calls); diff != "" || err != nil {
		t.Errorf("error %v, calls (-want +got):\n%s", err, diff)
	}
}

func TestOutputMayDifferOnlyInTimesAndNames(t *testing.T) {
	cases := map[string]struct {
		shown, printed string
		differs        bool
	}{
		"the same":               {"NAME READY\na True", "NAME   READY\na      True\n", false},
		"times, ages and ids":    {"2027-02-20T08:30:54Z 4s AKIAIOSFODNN7EXAMPLE", "2026-01-01T00:00:00Z 3m10s HAND0001", false},
		"days":                   {"2027-02-20", "2026-01-01", false},
		"a day is no time":       {"2027-02-20", "2026-01-01T00:00:00Z", true},
		"more is printed":        {"a … c", "x a b c d", false},
		"another word":           {"a True", "a False", true},
		"another order":          {"a b", "b a", true},
		"nothing is printed":     {"a", "", true},
		"a time is not anything": {"2027-02-20T08:30:54Z", "soon", true},
	}
	for name, tc := range cases {
		if err := Differs(tc.shown, tc.printed); (err != nil) != tc.differs {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListAppliesToItsPages(t *testing.T) {
	l := &List{
		Programs: map[string]string{"aws": "no account", "helm": "no chart"}, used: map[string]bool{},
		NotRun:  []*Entry{{Page: "docs/", Begins: "kubectl logs", Why: "no pods"}},
		Outputs: []*Entry{{Begins: "The ", Why: "output"}},
		Values:  []*Value{{Text: "KEY=...", Value: "KEY=x"}},
		Files:   []*File{{Page: "docs/a.md", Language: "yaml", Block: 2, Name: "f.yaml"}},
	}
	for text, want := range map[string]string{"kubectl get x\n": "", "kubectl logs x\n": "no pods", "cd x && aws s3 ls\n": "no account"} {
		if got, err := l.Reason(Command{Page: "docs/a.md", Text: text}); got != want || err != nil {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	if got, _ := l.Reason(Command{Page: "README.md", Text: "kubectl logs x\n"}); got != "" {
		t.Errorf("an entry holds for another page: %q", got)
	}
	if !l.IsOutput(Block{Text: "The end"}) || l.IsOutput(Block{Text: "An end"}) {
		t.Error("output is treated as commands, or commands as output")
	}
	if got := l.Fill(Command{Text: "set KEY=... "}); got != "set KEY=x " {
		t.Errorf("filled: %q", got)
	}
	files := l.FilesOf("docs/a.md", []Block{{Language: "yaml", Text: "1"}, {Language: "sh", Text: "x"}, {Language: "yaml", Text: "2"}})
	if diff := cmp.Diff(map[string]string{"f.yaml": "2"}, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"program helm"}, l.Unused()); diff != "" {
		t.Errorf("unused (-want +got):\n%s", diff)
	}
}
