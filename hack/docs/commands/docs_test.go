package commands

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/test/support/testenv"
)

// commandTimeout is longer than the --timeout values in the documents, except those of deletions,
// which are long enough for real providers.
const commandTimeout = 4 * time.Minute

// The commands of README.md and docs run page by page, in their order, against a real API server and
// an operator. Commands that do not run are in not-run.yaml.
func TestEveryCommandOfTheDocumentsRuns(t *testing.T) {
	root, err := testenv.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	list, err := ReadList("not-run.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, root)
	documents := documents(t, root)
	read := 0
	for _, page := range documents {
		t.Run(page, func(t *testing.T) {
			read++
			testPage(t, s, list, page)
		})
	}
	if read < len(documents) {
		return // -run selected some pages only
	}
	for _, entry := range list.Unused() {
		t.Errorf("not-run.yaml has an entry that nothing needs: %s", entry)
	}
	for page := range stories {
		if !slices.Contains(documents, page) {
			t.Errorf("there is a story for %s, which is not a document", page)
		}
	}
}

// documents lists README.md and the Markdown files of docs.
func documents(t *testing.T, root string) []string {
	t.Helper()
	out := []string{"README.md"}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		name, err := filepath.Rel(root, path)
		out = append(out, filepath.ToSlash(name))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 15 {
		t.Fatalf("found %d documents", len(out))
	}
	return out
}

func testPage(t *testing.T, s *server, list *List, page string) {
	content, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	blocks := Blocks(page, string(content))
	var commands []Command
	for _, b := range blocks {
		if list.IsOutput(b) {
			continue
		}
		found, err := b.Commands()
		if err != nil {
			t.Fatal(err)
		}
		commands = append(commands, found...)
	}
	var run []Command
	for _, c := range commands {
		why, err := list.Reason(c)
		if err != nil {
			t.Fatal(err)
		}
		if why == "" {
			run = append(run, c)
			continue
		}
		s.parses(t, c)
	}
	if len(run) == 0 {
		return
	}
	w := newWorld(t, s, page)
	w.files(list.FilesOf(page, blocks))
	for _, c := range run {
		w.command(list, c)
	}
	for _, h := range w.hooks {
		t.Errorf("no command of the page has %q", h.before)
	}
}

// parses checks the flags of the kubectl calls in a command that is not run.
func (s *server) parses(t *testing.T, c Command) {
	t.Helper()
	calls, err := Calls(c.Text, "kubectl")
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range calls {
		call, _, _ = strings.Cut(call, " -- ") // another program's arguments follow
		if out, err := s.shell(t, t.TempDir(), call+" --help"); err != nil {
			t.Errorf("%s:%d: kubectl does not understand: %s\n%s", c.Page, c.Line, call, out)
		}
	}
}

// command runs one command of the page, and compares its output with the document.
func (w *world) command(list *List, c Command) {
	w.Helper()
	text := c.Text
	if len(w.hooks) > 0 && strings.Contains(text, w.hooks[0].before) {
		h := w.hooks[0]
		w.hooks = w.hooks[1:]
		for from, to := range h.do(w) {
			if !strings.Contains(text, from) {
				w.Fatalf("%s:%d: the command does not have %q", c.Page, c.Line, from)
			}
			text = strings.ReplaceAll(text, from, to)
		}
	}
	c.Text = text
	text = list.Fill(c)
	if strings.Contains(text, "...") {
		w.Fatalf("%s:%d: nothing stands for the placeholder in\n%s", c.Page, c.Line, text)
	}
	var out string
	w.Eventually(func() error {
		var err error
		if out, err = w.server.shell(w.T, w.dir, text); err != nil {
			w.Fatalf("%s:%d: %v\n%s\n%s\noperator:\n%s", c.Page, c.Line, err, text, out, w.log.Tail(20))
		}
		return Differs(c.Output, out)
	})
	w.follow()
}

// shell runs a command in a shell and returns its output.
func (s *server) shell(t *testing.T, dir, text string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", text)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + s.bin + string(os.PathListSeparator) + os.Getenv("PATH"), "KUBECONFIG=" + s.kubeconfig, "HOME=" + dir}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	return out.String(), err
}
