package main

import (
	"slices"
	"strings"
	"sync"
)

// hidden replaces a value that is not shown. It does not reveal the length of the value.
const hidden = "********"

// short shows enough of a public identifier to tell two apart.
func short(id string) string {
	const shown = 4
	if len(id) <= 3*shown {
		return hidden
	}
	return id[:shown] + "..." + id[len(id)-shown:]
}

// describe lists the keys and values of a Secret, and masks credentials.
func describe(data map[string][]byte) string {
	keys := make([]string, 0, len(data))
	for key := range data {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var lines strings.Builder
	for _, key := range keys {
		value := hidden
		switch key {
		case "AWS_ACCESS_KEY_ID":
			value = short(string(data[key]))
		case "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "BUCKET_NAME":
			value = string(data[key])
		}
		lines.WriteString(key + "=" + value + "\n")
	}
	return lines.String()
}

// redactor knows the secret values of this run.
type redactor struct {
	mu     sync.Mutex
	values []string
}

// add adds a value to mask. It ignores short values, which would hide ordinary words.
func (r *redactor) add(value string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(value) >= 8 && !slices.Contains(r.values, value) {
		r.values = append(r.values, value)
	}
}

// redact replaces every known value in a text.
func (r *redactor) redact(text string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, value := range r.values {
		text = strings.ReplaceAll(text, value, hidden)
	}
	return text
}

// known returns the number of masked values.
func (r *redactor) known() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.values)
}
