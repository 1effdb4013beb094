package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/drivers"
	"apitoken.dev/operator/internal/provider/registry"
)

// entry is one row.
type entry struct {
	driver provider.Driver
	// declared reports that the capabilities are those of the settings.
	declared bool
}

// entries returns a row for every driver, in the order of their blocks.
func entries() ([]entry, error) {
	all, err := drivers.New()
	if err != nil {
		return nil, err
	}
	var out []entry
	for _, d := range all.Drivers() {
		_, declared := d.(registry.Declared)
		out = append(out, entry{driver: d, declared: declared})
	}
	return out, nil
}

// column is one capability: its head, and its cell.
type column struct {
	head string
	cell func(entry, provider.Capabilities) string
}

var columns = []column{
	{"scopes", func(_ entry, c provider.Capabilities) string { return scopes(c.Scopes) }},
	{"manual", func(e entry, c provider.Capabilities) string { return manual(e, c.Scopes) }},
	{"limited to", func(_ entry, c provider.Capabilities) string { return fields(c.Narrows) }},
	{"changed in place", func(_ entry, c provider.Capabilities) string { return fields(c.Updates) }},
	{"expiry enforced by", byGrant(func(c provider.Capabilities) string { return enforcers[c.ExpiryEnforcedBy] })},
	{"longest life", byGrant(func(c provider.Capabilities) string { return duration(c.MaxLifetime) })},
	{"credentials per account", func(_ entry, c provider.Capabilities) string { return number(c.MaxLive, "any number") }},
	{"listed", func(_ entry, c provider.Capabilities) string { return number(c.Listed, "all") }},
	{"settles in", func(_ entry, c provider.Capabilities) string { return duration(c.Settle) }},
}

var enforcers = map[provider.Enforcer]string{
	provider.EnforcedByProvider: "provider", provider.EnforcedByOperator: "operator", provider.EnforcedByUser: "user",
}

// table returns the rows in Markdown.
func table(rows []entry) string {
	head, rule := "| driver |", "|---|"
	for _, c := range columns {
		head += " " + c.head + " |"
		rule += "---|"
	}
	out := head + "\n" + rule + "\n"
	for _, e := range rows {
		name := e.driver.Type()
		out += fmt.Sprintf("| [`%s`](%s.md) |", name, name)
		for _, c := range columns {
			cell := "as declared"
			if !e.declared {
				cell = c.cell(e, e.driver.Capabilities())
			}
			out += " " + cell + " |"
		}
		out += "\n"
	}
	return out
}

// scopes lists scopes by their product: `billing:` read-only.
func scopes(all []string) string {
	if len(all) == 0 {
		return "the provider's own"
	}
	byProduct := map[string][]string{}
	var products []string
	for _, scope := range all {
		product, permission, _ := strings.Cut(scope, ":")
		if byProduct[product] == nil {
			products = append(products, product)
		}
		byProduct[product] = append(byProduct[product], permission)
	}
	slices.Sort(products)
	var out []string
	for _, product := range products {
		out = append(out, fmt.Sprintf("`%s:` %s", product, strings.Join(byProduct[product], ", ")))
	}
	return strings.Join(out, "; ")
}

// manual lists the scopes whose credentials are manual.
func manual(e entry, all []string) string {
	var out []string
	for _, scope := range all {
		if provider.CapabilitiesFor(e.driver, provider.Grant{Scopes: []string{scope}}).ExpiryEnforcedBy == provider.EnforcedByUser {
			out = append(out, scope)
		}
	}
	switch len(out) {
	case 0:
		return "none"
	case len(all):
		return "all"
	}
	return "`" + strings.Join(out, "`, `") + "`"
}

// byGrant returns a cell that names the scopes with another limit than the driver's.
func byGrant(limit func(provider.Capabilities) string) func(entry, provider.Capabilities) string {
	return func(e entry, c provider.Capabilities) string {
		out := []string{limit(c)}
		for _, scope := range c.Scopes {
			if other := limit(provider.CapabilitiesFor(e.driver, provider.Grant{Scopes: []string{scope}})); other != out[0] {
				out = append(out, fmt.Sprintf("%s for `%s`", other, scope))
			}
		}
		return strings.Join(out, "; ")
	}
}

func fields(all []provider.Field) string {
	if len(all) == 0 {
		return "nothing"
	}
	var out []string
	for _, f := range all {
		out = append(out, string(f))
	}
	return strings.Join(out, ", ")
}

func number(n int, unlimited string) string {
	if n == 0 {
		return unlimited
	}
	return fmt.Sprint(n)
}

// duration prints whole days, hours, minutes or seconds.
func duration(d time.Duration) string {
	if d == 0 {
		return "unlimited"
	}
	for _, unit := range []struct {
		is   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}} {
		if d%unit.is == 0 {
			return fmt.Sprintf("%d %s", d/unit.is, unit.name)
		}
	}
	return fmt.Sprintf("%g s", d.Seconds())
}
