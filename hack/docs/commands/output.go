package commands

import (
	"fmt"
	"regexp"
	"strings"
)

// varies are words that are different at every run: times, days, ages, and ids.
var varies = []*regexp.Regexp{
	regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`),
	regexp.MustCompile(`^\d{4}-\d\d-\d\d$`),
	regexp.MustCompile(`^(\d+[smhdy])+$`),
	regexp.MustCompile(`^[A-Z0-9]{8,}$`),
}

// Differs compares the output that a document shows with the printed output. The words of
// the document must appear in this order; a word that varies matches others of its kind.
// The printed output may have more words, which the document leaves out.
func Differs(shown, printed string) error {
	rest := strings.Fields(printed)
	for _, word := range strings.Fields(shown) {
		if word == "…" || word == "..." {
			continue
		}
		at := 0
		for at < len(rest) && !same(word, rest[at]) {
			at++
		}
		if at == len(rest) {
			return fmt.Errorf("%q is not printed, or not after what the document shows before it", word)
		}
		rest = rest[at+1:]
	}
	return nil
}

func same(shown, printed string) bool {
	if shown == printed {
		return true
	}
	for _, kind := range varies {
		if kind.MatchString(shown) && kind.MatchString(printed) {
			return true
		}
	}
	return false
}
