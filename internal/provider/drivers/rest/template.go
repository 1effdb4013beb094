package rest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// kind says how a template encodes the values that it inserts.
type kind string

// The kinds of templates.
const (
	// asText inserts values unchanged.
	asText kind = ""
	// asJSON encodes every value as JSON, so that no value can add a field.
	asJSON kind = "json"
	// asPath escapes every value for one segment of a path.
	asPath kind = "urlpath"
)

// The lengths of the longest text that a template, or a function in one, can return.
const (
	maxText  = 64 << 10
	maxDepth = 2
)

// maxCommands is how many values and functions the execution of a template can read and call,
// if each list has the maximum number of elements (longest). The execution cannot be
// interrupted, and maxText does not end a template that writes no text.
const maxCommands, longest = 200_000, 100

// text is a checked template: it reads only known fields and calls only the functions in
// funcs.go. It is safe for concurrent use.
type text struct {
	field string
	tmpl  *template.Template
	// reads are the fields it reads, and credentials the keys of the Secret.
	reads, credentials map[string]bool
}

// parseTemplate parses and checks a template. Errors name field; the template can read only
// the given fields.
func parseTemplate(field, source string, k kind, fields []string) (*text, error) {
	tmpl, err := template.New("template").Option("missingkey=error").Funcs(functions).Parse(source)
	if err != nil {
		return nil, provider.Invalid(fmt.Sprintf("%s is not a template: %s", field, strings.TrimPrefix(err.Error(), "template: ")))
	}
	c := &checker{fields: fields, kind: k, reads: map[string]bool{}, credentials: map[string]bool{}}
	if len(tmpl.Templates()) > 1 {
		err = errors.New("it defines another template, which is not allowed")
	} else if tmpl.Tree != nil && tmpl.Root != nil {
		err = c.list(tmpl.Root, 0)
	}
	if err != nil {
		return nil, provider.Invalid(field + ": " + err.Error())
	}
	return &text{field: field, tmpl: tmpl, reads: c.reads, credentials: c.credentials}, nil
}

func parseAll(field string, sources map[string]v1alpha1.RestTemplate, k kind, fields []string) (map[string]*text, error) {
	out := map[string]*text{}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		t, err := parseTemplate(field+"["+name+"]", string(sources[name]), k, fields)
		if err != nil {
			return nil, err
		}
		out[name] = t
	}
	return out, nil
}

// render executes the template. Errors contain no values of data.
func (t *text) render(data map[string]any) (string, error) {
	var out bounded
	if err := t.tmpl.Execute(&out, data); err != nil {
		why := "it cannot be filled in for what was declared"
		var known *fault
		if errors.As(err, &known) {
			why = known.says
		}
		e := provider.Invalid(t.field + ": " + why)
		e.Err = err
		return "", e
	}
	return out.String(), nil
}

// bounded is a buffer of at most maxText bytes.
type bounded struct{ strings.Builder }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxText {
		return 0, &fault{fmt.Sprintf("it makes more than %d bytes", maxText)}
	}
	return b.Builder.Write(p)
}

// checker walks through a template and allows only the elements that it knows. Such a
// template cannot run for long, and can read only its data.
type checker struct {
	fields             []string
	kind               kind
	reads, credentials map[string]bool
	// commands counts against maxCommands.
	commands int
}

func (c *checker) list(l *parse.ListNode, depth int) error {
	if l == nil {
		return nil
	}
	for _, node := range l.Nodes {
		if err := c.node(node, depth); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) node(node parse.Node, depth int) error {
	switch n := node.(type) {
	case *parse.TextNode, *parse.CommentNode:
		return nil
	case *parse.ActionNode:
		if err := c.pipe(n.Pipe, depth); err != nil {
			return err
		}
		c.escape(n.Pipe)
		return nil
	case *parse.IfNode:
		return c.branch(&n.BranchNode, depth, depth)
	case *parse.RangeNode:
		if err := c.ranged(n.Pipe, depth); err != nil {
			return err
		}
		return c.branch(&n.BranchNode, depth, depth+1)
	default:
		return fmt.Errorf("%s is not allowed; templates have {{ if }}, {{ range }} over a list, and values", node)
	}
}

// escape appends the escaping function of the template's kind to an action, unless the
// author did.
func (c *checker) escape(p *parse.PipeNode) {
	if c.kind == asText || len(p.Decl) > 0 {
		return
	}
	last := p.Cmds[len(p.Cmds)-1].Args[0]
	if called, ok := last.(*parse.IdentifierNode); ok && called.Ident == string(c.kind) {
		return
	}
	call := parse.NewIdentifier(string(c.kind)).SetPos(p.Pos)
	p.Cmds = append(p.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: p.Pos, Args: []parse.Node{call}})
}

func (c *checker) branch(n *parse.BranchNode, outside, inside int) error {
	if err := c.pipe(n.Pipe, outside); err != nil {
		return err
	}
	if err := c.list(n.List, inside); err != nil {
		return err
	}
	return c.list(n.ElseList, outside)
}

// ranged allows a range only over lists of the declaration, which are short, and limits the
// nesting. A range over a number could run for years.
func (c *checker) ranged(p *parse.PipeNode, depth int) error {
	if depth >= maxDepth {
		return fmt.Errorf("%s: a range may be inside one other range, not deeper", p)
	}
	if len(p.Cmds) == 1 && len(p.Cmds[0].Args) == 1 {
		if name := listName(p.Cmds[0].Args[0]); slices.Contains(listFields, name) {
			return nil
		}
	}
	return fmt.Errorf("%s: range goes over one of .%s", p, strings.Join(listFields, ", ."))
}

func (c *checker) pipe(p *parse.PipeNode, depth int) error {
	if p == nil {
		return nil
	}
	for _, command := range p.Cmds {
		times := 1
		for range depth {
			times *= longest
		}
		if c.commands += times; c.commands > maxCommands {
			return errors.New("it calls too much inside {{ range }}: use fewer values and functions there")
		}
		for _, arg := range command.Args {
			if err := c.argument(arg, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *checker) argument(arg parse.Node, depth int) error {
	switch n := arg.(type) {
	case *parse.StringNode, *parse.NumberNode, *parse.BoolNode:
		return nil
	case *parse.PipeNode:
		return c.pipe(n, depth)
	case *parse.DotNode:
		if depth == 0 {
			return errors.New(". stands for everything here; name a field, such as .name")
		}
		return nil
	case *parse.IdentifierNode:
		if !slices.Contains(builtins, n.Ident) && functions[n.Ident] == nil {
			return fmt.Errorf("there is no function %s; there are %s", n.Ident, strings.Join(functionNames(), ", "))
		}
		return nil
	case *parse.FieldNode:
		if depth > 0 {
			return fmt.Errorf("inside a range . is the element; write $%s", n)
		}
		return c.read(n.Ident)
	case *parse.VariableNode:
		return c.variable(n)
	default:
		return fmt.Errorf("%s is not allowed; name a field, such as .name, or call a function", arg)
	}
}

func (c *checker) variable(n *parse.VariableNode) error {
	switch {
	case n.Ident[0] == "$" && len(n.Ident) > 1:
		return c.read(n.Ident[1:])
	case n.Ident[0] == "$":
		return errors.New("$ stands for everything; name a field, such as $.name")
	case len(n.Ident) > 1:
		return fmt.Errorf("%s has no fields", n.Ident[0])
	}
	return nil
}

// read records that a field is read, or returns an error if there is no such field.
func (c *checker) read(path []string) error {
	name := path[0]
	if !slices.Contains(c.fields, name) {
		return fmt.Errorf("there is no .%s here; there are .%s", name, strings.Join(c.fields, ", ."))
	}
	c.reads[name] = true
	parts := 1
	if name == fieldCredentials || name == fieldSecret {
		parts = 2
	}
	if len(path) != parts {
		if parts == 2 {
			return fmt.Errorf("name one key of .%s, such as .%s.token", name, name)
		}
		return fmt.Errorf(".%s has no fields", name)
	}
	if name == fieldCredentials {
		c.credentials[path[1]] = true
	}
	return nil
}

// listName returns the field that a node reads, .name or $.name, or "".
func listName(n parse.Node) string {
	switch n := n.(type) {
	case *parse.FieldNode:
		if len(n.Ident) == 1 {
			return n.Ident[0]
		}
	case *parse.VariableNode:
		if len(n.Ident) == 2 && n.Ident[0] == "$" {
			return n.Ident[1]
		}
	}
	return ""
}
