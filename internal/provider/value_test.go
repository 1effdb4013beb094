package provider_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"apitoken.dev/operator/internal/provider"
)

// canary is looked for in everything that is printed, as it is and in the ways
// in which verbs spell bytes.
const canary = "canary-3f9a"

var spellings = []string{
	canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprintf("% x", canary),
	"99 97 110 97 114 121", // canary, as %d spells it
	"Y2FuYXJ5",             // canary in base64
}

// holder is a struct as drivers have them, with fields that print their own way.
type holder struct {
	Name   string
	Secret provider.Value
	List   []provider.Value
	ByKey  map[string]provider.Value
	Again  *provider.Value
	Any    any
	hidden provider.Value // fmt calls no method of it
}

// wrapped has a name, which XML needs.
type wrapped struct{ Secret provider.Value }

func things() map[string]any {
	v := provider.NewValue(canary)
	h := holder{"name", v, []provider.Value{v}, map[string]provider.Value{"key": v}, &v, v, v}
	return map[string]any{
		"value":             v,
		"pointer":           &v,
		"slice":             []provider.Value{v},
		"array":             [1]provider.Value{v},
		"map":               map[string]provider.Value{"key": v},
		"map of pointers":   map[string]*provider.Value{"key": &v},
		"struct":            h,
		"struct pointer":    &h,
		"nested":            []any{map[string]any{"key": h}, []holder{h}, &h},
		"minted":            provider.Minted{Secret: map[string]provider.Value{"key": v}},
		"config":            provider.Config{Credentials: map[string]provider.Value{"key": v}},
		"error":             fmt.Errorf("signing with %v failed", v),
		"error with quotes": fmt.Errorf("signing with %q failed", v),
		"provider error":    &provider.Error{Code: provider.CodeInvalid, Message: "no", Err: fmt.Errorf("with %s", v)},
	}
}

func leaks(t *testing.T, how, printed string) {
	t.Helper()
	for _, spelling := range spellings {
		if strings.Contains(printed, spelling) {
			t.Errorf("%s shows the secret: %s", how, printed)
		}
	}
}

func TestValueIsRedactedUnderEveryVerb(t *testing.T) {
	flags := []string{"", "+", "#", " ", "-", "0", "20", ".3", "+#", "# "}
	for name, thing := range things() {
		for verb := range strings.SplitSeq("v s q x X d b o O c U e E f F g G t p w", " ") {
			for _, flag := range flags {
				format := "%" + flag + verb
				leaks(t, name+" under "+format, fmt.Sprintf(format, thing))
			}
		}
		leaks(t, name+" printed", fmt.Sprint(thing)+fmt.Sprintln(thing))
	}
	v := provider.NewValue(canary)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%20s", "%.3s"} {
		if got := fmt.Sprintf(format, v); got != "[redacted]" {
			t.Errorf("a value under %s is %s, want [redacted]", format, got)
		}
	}
	if got := fmt.Sprintf("%T", v); got != "provider.Value" {
		t.Errorf("the type of a value is %s: it is no secret", got)
	}
}

func TestValueIsRedactedInEncodings(t *testing.T) {
	for name, thing := range things() {
		raw, err := json.Marshal(thing)
		if err != nil && !strings.HasPrefix(name, "config") {
			t.Errorf("%s in JSON: %v", name, err)
		}
		leaks(t, name+" in JSON", string(raw))
	}
	v := provider.NewValue(canary)
	raw, err := json.Marshal(map[string]any{"a": v, "b": &v})
	if want := `{"a":"[redacted]","b":"[redacted]"}`; err != nil || string(raw) != want {
		t.Errorf("in JSON: %s, error %v; want %s", raw, err, want)
	}
	keyed, err := json.Marshal(map[provider.Value]int{v: 1})
	if want := `{"[redacted]":1}`; err != nil || string(keyed) != want {
		t.Errorf("as a key in JSON: %s, error %v; want %s", keyed, err, want)
	}
	text, err := v.MarshalText()
	if err != nil || string(text) != "[redacted]" {
		t.Errorf("as text: %s, error %v", text, err)
	}
	out, err := xml.Marshal(wrapped{v})
	if err != nil || !strings.Contains(string(out), "[redacted]") {
		t.Errorf("in XML: %s, error %v", out, err)
	}
	leaks(t, "XML", string(out))
}

func TestValueIsRedactedInLogs(t *testing.T) {
	handlers := map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	}
	for kind, handler := range handlers {
		t.Run(kind, func(t *testing.T) {
			for name, thing := range things() {
				var b bytes.Buffer
				log := slog.New(handler(&b)).With("with", thing).WithGroup("group")
				log.Info("message", "thing", thing, slog.Group("inner", "thing", thing))
				if b.Len() == 0 {
					t.Fatalf("%s was not logged", name)
				}
				leaks(t, name+" in a log", b.String())
			}
			var b bytes.Buffer
			slog.New(handler(&b)).Info("message", "value", provider.NewValue(canary))
			if !strings.Contains(b.String(), "[redacted]") {
				t.Errorf("a logged value does not say that it was left out: %s", b.String())
			}
		})
	}
}

func TestValueHoldsComparesAndRevealsItsSecret(t *testing.T) {
	v := provider.NewValue(canary)
	if v.Reveal() != canary || v.Empty() {
		t.Error("a value does not hold what it was made of")
	}
	empty := provider.NewValue("")
	if !empty.Empty() || !(provider.Value{}).Empty() || empty.Reveal() != "" {
		t.Error("an empty value is not empty")
	}
	if !v.Equal(provider.NewValue(canary)) || v.Equal(empty) || !empty.Equal(provider.Value{}) {
		t.Error("values are equal when their secrets are")
	}
	if v.String() != empty.String() || v.GoString() != empty.GoString() {
		t.Error("the text of a value tells an empty one from another: it says nothing at all")
	}
}

func TestErrorDoesNotPrintItsCause(t *testing.T) {
	cause := errors.New("<html>" + canary + "</html>")
	err := &provider.Error{Code: provider.CodeUnavailable, Message: "no answer within 30s", Err: cause}
	for _, format := range []string{"%v", "%s", "%q"} {
		leaks(t, "an error under "+format, fmt.Sprintf(format, err))
	}
	leaks(t, "a wrapped error", fmt.Errorf("minting: %w", err).Error())
	if got, want := err.Error(), "Unavailable: no answer within 30s"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
	if !errors.Is(err, cause) {
		t.Error("the cause cannot be asked for")
	}
}
