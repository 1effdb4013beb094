package conformance

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// nothing are bodies without content, for any request.
var nothing = map[string]string{
	"nothing": "", "an empty object": "{}", "null": "null", "an empty list": "[]", "an empty text": `""`, "a number": "0",
	"true": "true", "a list of nothing": "[null]", "a list of lists": "[[]]", "an empty element": "<x/>", "half an object": `{"items":[`,
	"bytes": "\x00\xff\xfe", "a declaration": `<?xml version="1.0"?>`,
}

// nonsense returns false answers of every kind: each body with a success status and
// with an error status, and the provider's true answers without their values. A body
// that the provider documents for "no credentials" is not false.
func nonsense(h Harness) map[string]lie {
	out := map[string]lie{
		"elements without content": changed(jsonOr(emptyElements, emptyMembers)),
		"elements that are null":   changed(jsonOr(nullElements, cutAt(1))),
		"objects without content":  changed(jsonOr(emptyObjects, cutAt(2))),
		"objects that are null":    changed(jsonOr(nullObjects, cutAt(3))),
		"values of another type":   changed(jsonOr(otherTypes, nestedText)),
		"the half of every answer": changed(func(body []byte, _ int) []byte { return body[:len(body)/2] }),
	}
	for name, body := range nothing {
		if !slices.Contains(h.EmptyLists, body) {
			out[name] = always(http.StatusOK, "application/json", body)
		}
		out["refused, with "+name] = always(http.StatusBadRequest, "application/json", body)
	}
	return out
}

// floods are answers that do not end, or are very long.
func floods() map[string]lie {
	return map[string]lie{
		"an endless text":    endless(http.StatusOK, `{"items":"`, "x"),
		"an endless list":    endless(http.StatusOK, "[", "{},"),
		"endless elements":   endless(http.StatusOK, "", "<member>"),
		"an endless refusal": endless(http.StatusBadRequest, "", "<Error>"),
		"a compressed flood": compressed,
		"an answer that is followed by too much": changed(func(body []byte, _ int) []byte {
			return append(bytes.Clone(body), bytes.Repeat([]byte(" "), 2<<20)...)
		}),
	}
}

// bomb is 64 MiB of spaces, compressed.
var bomb = sync.OnceValue(func() []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	block := bytes.Repeat([]byte(" "), 1<<20)
	for range 64 {
		_, _ = z.Write(block) // writing to a buffer cannot fail
	}
	_ = z.Close()
	return out.Bytes()
})

// compressed answers as net/http does: decoded, unless the driver requested an
// encoding.
func compressed(req *http.Request, _ int, _ func() (*http.Response, []byte, error)) (*http.Response, error) {
	if req.Header.Get("Accept-Encoding") != "" {
		return respond(req, http.StatusOK, http.Header{"Content-Encoding": {"gzip"}}, bytes.NewReader(bomb())), nil
	}
	z, err := gzip.NewReader(bytes.NewReader(bomb()))
	if err != nil {
		return nil, err
	}
	return respond(req, http.StatusOK, nil, z), nil
}

// jsonOr changes a JSON answer with one function and any other, as XML, with another.
func jsonOr(change func(any) any, xmlChange func([]byte) []byte) func([]byte, int) []byte {
	return func(body []byte, _ int) []byte {
		var v any
		if json.Unmarshal(body, &v) != nil {
			return xmlChange(body)
		}
		out, err := json.Marshal(change(v))
		if err != nil {
			return nil
		}
		return out
	}
}

// replaced replaces the values that pick chooses, the outermost first.
func replaced(v any, pick func(any) (any, bool)) any {
	if with, ok := pick(v); ok {
		return with
	}
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = replaced(value, pick)
		}
	case []any:
		for i, value := range v {
			v[i] = replaced(value, pick)
		}
	}
	return v
}

// elements replaces the elements of every list of objects, or the whole answer if it
// has no such list.
func elements(v, with any) any {
	found := false
	out := replaced(v, func(v any) (any, bool) {
		list, ok := v.([]any)
		if !ok || len(list) == 0 {
			return nil, false
		}
		if _, objects := list[0].(map[string]any); !objects {
			return nil, false
		}
		found = true
		return slices.Repeat([]any{with}, len(list)), true
	})
	if !found {
		return with
	}
	return out
}

func emptyElements(v any) any { return elements(v, map[string]any{}) }
func nullElements(v any) any  { return elements(v, nil) }

// objects replaces the objects within the answer, or the answer if it has none.
func objects(v, with any) any {
	root, ok := v.(map[string]any)
	if !ok {
		return elements(v, with)
	}
	inner := false
	for key, value := range root {
		switch value.(type) {
		case map[string]any:
			root[key], inner = with, true
		case []any:
			root[key], inner = elements(value, with), true
		}
	}
	if !inner {
		return with
	}
	return root
}

func emptyObjects(v any) any { return objects(v, map[string]any{}) }
func nullObjects(v any) any  { return objects(v, nil) }

// otherTypes turns strings and lists into objects, and numbers into strings.
func otherTypes(v any) any {
	return replaced(v, func(v any) (any, bool) {
		switch v := v.(type) {
		case string:
			return map[string]any{"is": "no text"}, true
		case float64:
			return []any{"no number"}, true
		case []any:
			return map[string]any{}, len(v) == 0
		}
		return nil, false
	})
}

// tokens parses XML. An answer that is not XML has no tokens.
func tokens(body []byte) []xml.Token {
	var out []xml.Token
	for d := xml.NewDecoder(bytes.NewReader(body)); ; {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			return nil
		}
		out = append(out, xml.CopyToken(t))
	}
}

// filtered writes the tokens that keep selects; keep receives the names of the elements
// around a token, including its own.
func filtered(body []byte, keep func(path []string, t xml.Token) bool) []byte {
	var out bytes.Buffer
	var path []string
	for _, t := range tokens(body) {
		if start, ok := t.(xml.StartElement); ok {
			path = append(path, start.Name.Local)
		}
		if keep(path, t) {
			switch t := t.(type) {
			case xml.StartElement:
				out.WriteString("<" + t.Name.Local + ">")
			case xml.EndElement:
				out.WriteString("</" + t.Name.Local + ">")
			case xml.CharData:
				_ = xml.EscapeText(&out, t) // writing to a buffer cannot fail
			}
		}
		if _, ok := t.(xml.EndElement); ok {
			path = path[:len(path)-1]
		}
	}
	return out.Bytes()
}

// cutAt keeps the elements down to a depth, and removes their content. Lists at that
// depth keep their elements, without content: an empty list could be true.
func cutAt(depth int) func([]byte) []byte {
	return func(body []byte) []byte {
		return filtered(body, func(path []string, t xml.Token) bool {
			_, text := t.(xml.CharData)
			return !text && (len(path) <= depth || len(path) == depth+1 && path[depth] == "member")
		})
	}
}

// emptyMembers removes the content of list elements.
func emptyMembers(body []byte) []byte {
	return filtered(body, func(path []string, _ xml.Token) bool {
		at := slices.Index(path, "member")
		return at < 0 || at == len(path)-1
	})
}

// nestedText puts an element where text is expected.
func nestedText(body []byte) []byte {
	out := filtered(body, func([]string, xml.Token) bool { return true })
	return []byte(strings.ReplaceAll(string(out), "</", "<x/></"))
}
