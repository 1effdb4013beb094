package commands

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// List says which commands are not run, and why, and which values replace the
// placeholders of the others. An unused entry is an error.
type List struct {
	// Programs that are not run on any page, with the reason.
	Programs map[string]string `json:"programs"`
	// NotRun are commands that are not run.
	NotRun []*Entry `json:"notRun"`
	// Outputs are blocks that show the output of a command without the command.
	Outputs []*Entry `json:"outputs"`
	// Values replace a text in the commands of a page.
	Values []*Value `json:"values"`
	// Files are blocks that a reader saves as a file.
	Files []*File `json:"files"`

	used map[string]bool
}

// Entry is a command or block of a page, by how it begins.
type Entry struct {
	// Page is a path, or a folder that ends with a slash; every page when empty.
	Page   string `json:"page"`
	Begins string `json:"begins"`
	Why    string `json:"why"`

	used bool
}

// Value replaces a placeholder.
type Value struct {
	Page  string `json:"page"`
	Text  string `json:"text"`
	Value string `json:"value"`

	used bool
}

// File is the block of a page with this number, counted from 1, in this language.
type File struct {
	Page     string `json:"page"`
	Language string `json:"language"`
	Block    int    `json:"block"`
	Name     string `json:"name"`

	used bool
}

// ReadList reads the list.
func ReadList(file string) (*List, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	l := &List{used: map[string]bool{}}
	if err := yaml.UnmarshalStrict(content, l); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for name, why := range l.Programs {
		if why == "" {
			return nil, fmt.Errorf("%s: program %s has no reason", file, name)
		}
	}
	for _, e := range slices.Concat(l.NotRun, l.Outputs) {
		if e.Begins == "" || e.Why == "" {
			return nil, fmt.Errorf("%s: the entry %+v lacks begins or why", file, *e)
		}
	}
	return l, nil
}

// Reason returns why a command is not run, or "" when it is run.
func (l *List) Reason(c Command) (string, error) {
	for _, e := range l.NotRun {
		if applies(e.Page, c.Page) && strings.HasPrefix(c.Text, e.Begins) {
			e.used = true
			return e.Why, nil
		}
	}
	programs, err := Programs(c.Text)
	if err != nil {
		return "", fmt.Errorf("%s:%d: %w", c.Page, c.Line, err)
	}
	for _, name := range programs {
		if why := l.Programs[name]; why != "" {
			l.used[name] = true
			return why, nil
		}
	}
	return "", nil
}

// IsOutput reports whether a block shows only output.
func (l *List) IsOutput(b Block) bool {
	for _, e := range l.Outputs {
		if applies(e.Page, b.Page) && strings.HasPrefix(b.Text, e.Begins) {
			e.used = true
			return true
		}
	}
	return false
}

// Fill puts the values into a command.
func (l *List) Fill(c Command) string {
	text := c.Text
	for _, v := range l.Values {
		if applies(v.Page, c.Page) && strings.Contains(text, v.Text) {
			v.used = true
			text = strings.ReplaceAll(text, v.Text, v.Value)
		}
	}
	return text
}

// FilesOf returns the files that a reader of a page saves, by name.
func (l *List) FilesOf(page string, blocks []Block) map[string]string {
	out := map[string]string{}
	for _, f := range l.Files {
		number := 0
		for _, b := range blocks {
			if f.Page != page || b.Language != f.Language {
				continue
			}
			if number++; number == f.Block {
				f.used = true
				out[f.Name] = b.Text
			}
		}
	}
	return out
}

// Unused lists the entries that were not used.
func (l *List) Unused() []string {
	var out []string
	for name := range l.Programs {
		if !l.used[name] {
			out = append(out, "program "+name)
		}
	}
	for _, e := range slices.Concat(l.NotRun, l.Outputs) {
		if !e.used {
			out = append(out, e.Page+": "+e.Begins)
		}
	}
	for _, v := range l.Values {
		if !v.used {
			out = append(out, "value for "+v.Text)
		}
	}
	for _, f := range l.Files {
		if !f.used {
			out = append(out, "file "+f.Name)
		}
	}
	slices.Sort(out)
	return out
}

func applies(to, page string) bool {
	return to == "" || to == page || strings.HasSuffix(to, "/") && strings.HasPrefix(page, to)
}
