package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// row is one field.
type row struct {
	path   string
	schema schema
	// required: the object must have it.
	required bool
}

// reference returns the tables of a kind in Markdown: one for spec, one for each
// driver block, one for status, and the rules of the whole object.
func reference(k kind) string {
	var out strings.Builder
	fmt.Fprintf(&out, "`%s`, %s, resource `%s`", k.Version, strings.ToLower(k.Scope), k.Plural)
	if len(k.ShortNames) > 0 {
		fmt.Fprintf(&out, ", short `%s`", strings.Join(k.ShortNames, "`, `"))
	}
	out.WriteString(". A field in bold is required in the object above it; `[]` is an element of a list, `{}` a value of a map.\n\n")
	for _, part := range []string{"spec", "status"} {
		writeBlock(&out, part, k.Schema.Properties[part])
	}
	if lines := rules(k.Schema.Rules); len(lines) > 0 {
		out.WriteString("### Rules of the whole object\n\n")
		for _, line := range lines {
			out.WriteString("- " + line + "\n")
		}
		out.WriteString("\n")
	}
	return out.String()
}

// blocks are so large that each gets a table of its own.
const blockRows = 20

// writeBlock writes the table of an object, and after it one for each large object in it.
func writeBlock(out *strings.Builder, path string, s schema) {
	fmt.Fprintf(out, "### `%s`\n\n", path)
	if s.Description != "" && strings.Contains(path, ".") {
		out.WriteString(text(s.Description) + "\n\n")
	}
	for _, line := range rules(s.Rules) {
		out.WriteString("- " + line + "\n")
	}
	if len(s.Rules) > 0 {
		out.WriteString("\n")
	}
	out.WriteString("| field | type | default | meaning | allowed |\n|---|---|---|---|---|\n")
	var large []row
	for _, r := range fields(path, s, &large) {
		out.WriteString(r.markdown())
	}
	out.WriteString("\n")
	for _, r := range large {
		writeBlock(out, r.path, r.schema)
	}
}

// fields lists the fields of an object and of the objects in it. Large objects are listed alone
// and added to large.
func fields(path string, s schema, large *[]row) []row {
	var out []row
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		r := row{path: path + "." + name, schema: s.Properties[name], required: slices.Contains(s.Required, name)}
		out = append(out, r)
		inner := inside(r, &[]row{})
		if len(inner) >= blockRows {
			*large = append(*large, r)
			continue
		}
		out = append(out, inside(r, large)...)
	}
	return out
}

// inside lists the fields in a field: of an object, of the elements of a list, of the
// values of a map. Conditions are the same everywhere in Kubernetes.
func inside(r row, large *[]row) []row {
	switch {
	case strings.HasSuffix(r.path, ".conditions"):
		return nil
	case len(r.schema.Properties) > 0:
		return fields(r.path, r.schema, large)
	case r.schema.Items != nil:
		return fields(r.path+"[]", *r.schema.Items, large)
	case r.schema.Additional != nil:
		return fields(r.path+"{}", *r.schema.Additional, large)
	}
	return nil
}

func (r row) markdown() string {
	name := "`" + r.path + "`"
	if r.required {
		name = "**" + name + "**"
	}
	standard := ""
	if r.schema.Default != nil {
		standard = fmt.Sprintf("`%v`", r.schema.Default)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |\n", name, typeOf(r.schema), standard, text(r.schema.Description), allowed(r.schema))
}

// typeOf returns the name of the type in YAML.
func typeOf(s schema) string {
	switch {
	case s.IntOrString:
		return "number or string"
	case s.Type == "array" && s.Items != nil && s.ListType == "set":
		return "set of " + typeOf(*s.Items)
	case s.Type == "array" && s.Items != nil && len(s.ListKeys) > 0:
		return "list of " + typeOf(*s.Items) + ", one for each `" + strings.Join(s.ListKeys, "`, `") + "`"
	case s.Type == "array" && s.Items != nil:
		return "list of " + typeOf(*s.Items)
	case s.Additional != nil:
		return "map of " + typeOf(*s.Additional)
	case s.Format == "date-time":
		return "time"
	}
	return s.Type
}

// text puts a description on one line of a table.
func text(description string) string {
	return strings.NewReplacer(
		"|", `\|`, "*", `\*`, "_", `\_`, "<", "&lt;", "[", `\[`, "`", "\\`",
	).Replace(strings.Join(strings.Fields(description), " "))
}
