package rest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"apitoken.dev/operator/internal/provider/httpapi"
)

// document is decoded JSON. Integers stay integers, so that an identifier keeps all its
// digits.
type document struct{ value any }

// UnmarshalJSON implements json.Unmarshaler.
func (d *document) UnmarshalJSON(content []byte) error {
	dec := json.NewDecoder(bytes.NewReader(content))
	dec.UseNumber()
	if err := dec.Decode(&d.value); err != nil {
		return err
	}
	d.value = whole(d.value)
	return nil
}

func whole(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = whole(value)
		}
	case []any:
		for i, value := range v {
			v[i] = whole(value)
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	}
	return v
}

// variables returns the variables of an answer for expressions. A body that is not JSON is
// null.
func variables(a httpapi.Answer, d document) map[string]any {
	return map[string]any{varBody: d.value, varStatus: int64(a.Status), varHeaders: headers(a.Header)}
}

// headers returns the headers of an answer, with names in lower case and the first value of
// each.
func headers(h http.Header) map[string]string {
	out := make(map[string]string, len(h))
	for key := range h {
		out[strings.ToLower(key)] = h.Get(key)
	}
	return out
}

func with(vars map[string]any, name string, value any) map[string]any {
	out := make(map[string]any, len(vars)+1)
	for key, v := range vars {
		out[key] = v
	}
	out[name] = value
	return out
}
