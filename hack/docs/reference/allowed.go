package main

import (
	"fmt"
	"slices"
	"strings"
)

// allowed describes the values that the schema and its rules allow.
func allowed(s schema) string {
	var out []string
	if len(s.Enum) > 0 {
		var values []string
		for _, v := range s.Enum {
			values = append(values, fmt.Sprintf("`%v`", v))
		}
		out = append(out, strings.Join(values, ", "))
	}
	out = append(out, bounds("characters", s.MinLength, s.MaxLength)...)
	out = append(out, bounds("elements", s.MinItems, s.MaxItems)...)
	out = append(out, bounds("entries", s.MinProperties, s.MaxProperties)...)
	out = append(out, bounds("", whole(s.Minimum), whole(s.Maximum))...)
	if s.Pattern != "" {
		out = append(out, "`"+strings.ReplaceAll(s.Pattern, "|", `\|`)+"`")
	}
	out = append(out, rules(s.Rules)...)
	for what, inner := range map[string]*schema{"each": s.Items, "each value": s.Additional} {
		// The fields of an object have rows of their own.
		if inner == nil || len(inner.Properties) > 0 && len(inner.Rules) == 0 {
			continue
		}
		if words := allowed(schema{
			Enum: inner.Enum, MinLength: inner.MinLength, MaxLength: inner.MaxLength, Minimum: inner.Minimum, Maximum: inner.Maximum,
			Pattern: inner.Pattern, Rules: inner.Rules,
		}); words != "" {
			out = append(out, what+": "+words)
		}
	}
	return strings.Join(out, "; ")
}

func whole(f *float64) *int64 {
	if f == nil {
		return nil
	}
	n := int64(*f)
	return &n
}

// bounds describes the smallest and the largest number.
func bounds(unit string, least, most *int64) []string {
	if unit != "" {
		unit = " " + unit
	}
	switch {
	case least != nil && most != nil:
		return []string{fmt.Sprintf("%d to %d%s", *least, *most, unit)}
	case least != nil:
		return []string{fmt.Sprintf("at least %d%s", *least, unit)}
	case most != nil:
		return []string{fmt.Sprintf("at most %d%s", *most, unit)}
	}
	return nil
}

// rules are the messages of CEL rules, which describe the allowed values. A message that
// several rules share occurs once.
func rules(all []rule) []string {
	var out []string
	for _, r := range all {
		line := sentence(r)
		if r.FieldPath != "" {
			line = "`" + strings.TrimPrefix(r.FieldPath, ".") + "`: " + line
		}
		if !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	return out
}

// sentence is the message of the API server for a violation of the rule, with … for parts
// that depend on the object.
func sentence(r rule) string {
	if r.Message != "" || r.MessageExpression == "" {
		return text(r.Message)
	}
	return text(strings.TrimSpace(spoken(r.MessageExpression)))
}

// spoken joins the texts of a CEL expression 'a' + b + 'c'. A part in parentheses
// is a choice between texts, and stands for something that depends on the object.
func spoken(expression string) string {
	var out strings.Builder
	depth, quoted, varies := 0, false, false
	for i := 0; i < len(expression); i++ {
		c := expression[i]
		switch {
		case quoted && c == '\\' && i+1 < len(expression):
			i++
			write(&out, expression[i], depth, &varies)
		case c == '\'':
			quoted = !quoted
		case quoted:
			write(&out, c, depth, &varies)
		case c == '(':
			depth++
			varies = true
		case c == ')':
			depth--
		case c != ' ' && c != '+':
			varies = true
		}
	}
	if varies {
		out.WriteString("…")
	}
	return out.String()
}

// write adds a character of a text outside of parentheses. Before it goes an ellipsis for the
// varying part that preceded, if any.
func write(out *strings.Builder, c byte, depth int, varies *bool) {
	if depth > 0 {
		return
	}
	if *varies {
		out.WriteString("…")
		*varies = false
	}
	out.WriteByte(c)
}
