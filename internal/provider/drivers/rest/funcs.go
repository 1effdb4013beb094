package rest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"text/template"
	"time"
)

// fault says what is wrong with a template's values, without repeating them.
type fault struct{ says string }

func (f *fault) Error() string { return f.says }

// instant is a time in whole seconds, rounded down: vendors' times have no
// fractions, and a credential never ends later than asked. It has no methods
// that a template could call.
type instant struct{ t time.Time }

// newInstant returns nil for the zero time, which is false in a template's if.
func newInstant(t time.Time) *instant {
	if t.IsZero() {
		return nil
	}
	return &instant{t.UTC().Truncate(time.Second)}
}

// builtins are the functions of text/template that templates can call. They have no side
// effects, and no result is longer than the arguments.
var builtins = []string{"and", "eq", "ge", "gt", "index", "le", "len", "lt", "ne", "not", "or"}

// functions are all other functions. They read only their arguments. The sizes of arguments
// and results are checked before a result is built, because a template can apply functions to
// a value many times.
var functions = template.FuncMap{
	"base64":  encode,
	"concat":  func(parts ...string) (string, error) { return joinTexts("", parts) },
	"join":    joinTexts,
	"json":    toJSON,
	"only":    only,
	"rfc3339": rfc3339,
	"unix":    unix,
	"urlpath": urlPath,
}

func functionNames() []string {
	return slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(functions)), builtins...)))
}

func short(s string) (string, error) {
	if len(s) > maxText {
		return "", tooLong
	}
	return s, nil
}

var tooLong = &fault{fmt.Sprintf("a value has more than %d bytes", maxText)}

// joinTexts joins texts, unless the result would be too long.
func joinTexts(separator string, list []string) (string, error) {
	total := len(separator) * max(0, len(list)-1)
	for _, one := range list {
		total += len(one)
	}
	if total > maxText {
		return "", tooLong
	}
	return strings.Join(list, separator), nil
}

// redacted replaces a credential in requests that are shown and not sent.
const redacted = "[redacted]"

func encode(s string) (string, error) {
	if strings.Contains(s, redacted) {
		return redacted, nil
	}
	if _, err := short(s); err != nil {
		return "", err
	}
	return short(base64.StdEncoding.EncodeToString([]byte(s)))
}

func toJSON(v any) (string, error) {
	switch v := v.(type) {
	case string:
		if _, err := short(v); err != nil {
			return "", err
		}
	case []string:
		if _, err := joinTexts("", v); err != nil {
			return "", err
		}
	case int, int64, bool:
	case *instant:
		return "", &fault{"a time has several forms: write .expiresAt | rfc3339, or .expiresAt | unix"}
	default:
		return "", &fault{fmt.Sprintf("a %T has no JSON here", v)}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("encoding a value: %w", err)
	}
	return short(strings.TrimSuffix(out.String(), "\n"))
}

// only returns the single element of a list, for vendors that accept one value.
func only(list []string) (string, error) {
	if len(list) != 1 {
		return "", &fault{fmt.Sprintf("only takes a list of one element, and this one has %d", len(list))}
	}
	return list[0], nil
}

var noExpiry = &fault{"there is no expiry; put this between {{ if .expiresAt }} and {{ end }}"}

func rfc3339(i *instant) (string, error) {
	if i == nil {
		return "", noExpiry
	}
	return i.t.Format(time.RFC3339), nil
}

func unix(i *instant) (int64, error) {
	if i == nil {
		return 0, noExpiry
	}
	return i.t.Unix(), nil
}

// urlPath escapes one segment of a path. "." and ".." are errors, because they would change
// the path.
func urlPath(v any) (string, error) {
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case int, int64:
		s = fmt.Sprint(v)
	default:
		return "", &fault{fmt.Sprintf("a %T cannot be part of a path", v)}
	}
	if _, err := short(s); err != nil {
		return "", err
	}
	if s == "" || s == "." || s == ".." {
		return "", &fault{"a part of a path would be empty or made of dots"}
	}
	return short(url.PathEscape(s))
}
