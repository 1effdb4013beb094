package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

type kind int

const (
	link   kind = iota // a relative link: path, path#heading or #heading
	path               // a path of the repository in code
	target             // the target of a make command in code
)

// reference is something that a document names.
type reference struct {
	kind kind
	line int
	text string
	// directory is where a command before it on the line changed to.
	directory string
}

var (
	fence      = regexp.MustCompile("^\\s*(```|~~~)")
	codeSpan   = regexp.MustCompile("`([^`]+)`")
	linkTarget = regexp.MustCompile(`\]\(([^)\s]+)(?:\s+"[^"]*")?\)`)
	scheme     = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*:`)
	heading    = regexp.MustCompile(`^#{1,6}\s+(.*?)\s*#*\s*$`)
	makeRule   = regexp.MustCompile(`(?m)^([A-Za-z0-9_-]+(?:[ \t]+[A-Za-z0-9_-]+)*)[ \t]*:(?:[^=:]|$)`)
	targetName = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	pathToken  = regexp.MustCompile(`^(?:\./)?([A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)+/?|[A-Za-z0-9_-]+/)$`)
	// A path may be followed by a line number, or by a symbol of the package that it names.
	pathSuffix = regexp.MustCompile(`(:[0-9]+(-[0-9]+)?|\.[A-Z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*)$`)
)

// references lists what a document names, in order.
func references(document string) []reference {
	var refs []reference
	fenced := false
	for i, text := range strings.Split(document, "\n") {
		line := i + 1
		if fence.MatchString(text) {
			fenced = !fenced
			continue
		}
		if fenced {
			refs = append(refs, codeReferences(text, line)...)
			continue
		}
		for _, span := range codeSpan.FindAllStringSubmatch(text, -1) {
			refs = append(refs, codeReferences(span[1], line)...)
		}
		for _, match := range linkTarget.FindAllStringSubmatch(codeSpan.ReplaceAllString(text, "code"), -1) {
			if !scheme.MatchString(match[1]) && !strings.HasPrefix(match[1], "/") {
				refs = append(refs, reference{kind: link, line: line, text: match[1]})
			}
		}
	}
	return refs
}

// codeReferences reads one line of code: commands, or a path alone.
func codeReferences(code string, line int) []reference {
	var refs []reference
	directory := ""
	words := strings.Fields(code)
	for i, word := range words {
		if strings.HasPrefix(word, "#") {
			break // a comment
		}
		begins := i == 0 || isOperator(words[i-1]) || strings.Contains(words[i-1], "=")
		switch {
		case begins && word == "cd" && i+1 < len(words):
			directory = words[i+1]
		case begins && word == "make":
			refs = append(refs, makeReferences(words[i+1:], line)...)
		}
		if text, ok := asPath(word); ok {
			refs = append(refs, reference{kind: path, line: line, text: text, directory: directory})
		}
	}
	return refs
}

// makeReferences reads the words after make, as far as the command goes.
func makeReferences(words []string, line int) []reference {
	var refs []reference
	for _, word := range words {
		word, last := strings.CutSuffix(word, ";")
		if isOperator(word) || strings.HasPrefix(word, "#") {
			break
		}
		if targetName.MatchString(word) {
			refs = append(refs, reference{kind: target, line: line, text: word})
		}
		if last {
			break
		}
	}
	return refs
}

func isOperator(word string) bool {
	switch word {
	case "&&", "||", ";", "|", "$", "%", "(", "sudo", "then":
		return true
	}
	return strings.HasSuffix(word, ";") || strings.HasPrefix(word, ">")
}

// asPath returns the path that a word of code names, if it looks like one.
func asPath(word string) (string, bool) {
	word = strings.Trim(word, `"'(),;`)
	word = strings.TrimRight(word, ".:")
	word = pathSuffix.ReplaceAllString(word, "")
	match := pathToken.FindStringSubmatch(word)
	if match == nil || strings.Contains(word, "...") {
		return "", false
	}
	return match[1], true
}

// makeTargets lists the targets of a Makefile.
func makeTargets(makefile string) map[string]bool {
	targets := map[string]bool{}
	for _, match := range makeRule.FindAllStringSubmatch(makefile, -1) {
		for _, name := range strings.Fields(match[1]) {
			targets[name] = true
		}
	}
	return targets
}

// headings lists the anchors of a document, as GitHub makes them.
func headings(document string) map[string]bool {
	anchors := map[string]bool{}
	seen := map[string]int{}
	fenced := false
	for _, text := range strings.Split(document, "\n") {
		if fence.MatchString(text) {
			fenced = !fenced
		}
		match := heading.FindStringSubmatch(text)
		if fenced || match == nil {
			continue
		}
		slug := slugOf(match[1])
		if n := seen[slug]; n > 0 {
			anchors[fmt.Sprintf("%s-%d", slug, n)] = true
		} else {
			anchors[slug] = true
		}
		seen[slug]++
	}
	return anchors
}

func slugOf(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
			return unicode.ToLower(r)
		}
		return -1
	}, title)
}
