package rest

import (
	"context"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/cel-go/common/operators"

	"apitoken.dev/operator/internal/provider/httpapi"
)

// largeAnswer returns the largest allowed response.
func largeAnswer() map[string]any {
	list := make([]any, 10_000)
	for i := range list {
		list[i] = "element"
	}
	return variables(httpapi.Answer{Status: http.StatusOK}, document{map[string]any{
		"a": strings.Repeat("x", 900<<10), "f": strings.Repeat("%f", 100_000), "list": list, "small": "abc",
	}})
}

// The expression is rejected before it allocates memory, and the error names its field.
func TestExpressionsThatAmplifyTheAnswerAreRejected(t *testing.T) {
	doubled := strings.Repeat(".map(x, x + x)", 11)
	nested := strings.Repeat(".map(x, [x, x, x, x])", 10)
	for name, source := range map[string]string{
		"replace of nothing":     `body.a.replace("", body.a)`,
		"replace of a letter":    `body.a.replace("x", body.a)`,
		"replace, limited":       `body.a.replace("x", body.a, 1000)`,
		"replace in a loop":      `body.list.map(e, body.a.replace("x", "y"))[0]`,
		"join":                   `body.list.join(body.a)`,
		"join of copies":         `body.list.map(e, body.a).join()`,
		"split":                  `body.a.split("")[0]`,
		"split by a letter":      `body.a.split("x")[0]`,
		"split in a loop":        `body.list.map(e, body.list.join(",").split(","))[0][0]`,
		"format of clauses":      `body.f.format(body.list.map(e, 1.5e308))`,
		"format of copies":       `"%s".format([body.list.map(e, body.a)])`,
		"format of a nested one": `"%s".format([[[1]]` + nested + `])`,
		"quote":                  `strings.quote(body.a)`,
		"JSON of copies":         `json.encode(body.list.map(e, body.a))`,
		"JSON of a nested one":   `json.encode([[[1]]` + nested + `])`,
		"a sum of texts":         `[body.a]` + doubled + `[0]`,
		"a sum of lists":         `[body.list]` + doubled + `[0][0]`,
		"a sum of empty lists":   `[[]]` + doubled + `.map(x, string(size(x)))[0] + body.a + body.a`,
		"a sum of bytes":         `string([bytes(body.a)]` + doubled + `[0])`,
		"base64":                 `base64.encode(bytes(body.a))`,
		"base64 in a loop":       `body.list.map(e, base64.encode(bytes(body.a.substring(0, 500000))))[0]`,
		"lower case in a loop":   `body.list.map(e, body.a.lowerAscii())[0]`,
		"upper case in a loop":   `body.list.map(e, body.a.upperAscii())[0]`,
		"reverse in a loop":      `body.list.map(e, body.a.reverse())[0]`,
		"bytes in a loop":        `string(body.list.map(e, bytes(body.a))[0])`,
		"comparing a nested one": `[[[1]]` + nested + `].exists(x, x == x) ? "a" : "b"`,
		"finding a nested one":   `[[[1]]` + nested + `].exists(x, x in [x]) ? "a" : "b"`,
		"sets":                   `sets.contains(body.list, body.list) ? "a" : "b"`,
		"a long pattern":         `body.small.matches(body.a) ? "a" : "b"`,
		"a long match":           `body.a.matches("(x*)*y") ? "a" : "b"`,
		"a repeated match":       `body.small.matches("(?:` + strings.Repeat("a?", 40) + `){1000}b") ? "a" : "b"`,
		"nested repetitions":     `body.small.matches("(?:(?:ab?c){30}){30}b") ? "a" : "b"`,
	} {
		t.Run(name, func(t *testing.T) {
			vars := largeAnswer()
			e, err := compileExpression("spec.rest.list.next", source, []string{varBody, varStatus, varHeaders}, nil)
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err = e.word(t.Context(), vars)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.HasPrefix(err.Error(), "spec.rest.list.next ") {
				t.Errorf("got %v", err)
			}
			if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 32 {
				t.Errorf("it took %d MiB", took)
			}
		})
	}
}

// A list in an expression has at most the length of a list in a response.
func TestListsAreBounded(t *testing.T) {
	e, err := compileExpression("spec.rest.list.items", `body.list + body.list`, []string{varBody, varStatus, varHeaders}, lists)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := e.list(t.Context(), largeAnswer()); err != nil || len(all) != 20_000 {
		t.Errorf("%d elements, %v", len(all), err)
	}
	if e, err = compileExpression("spec.rest.list.items", `body.list + body.list + ["one"]`, []string{varBody, varStatus, varHeaders}, lists); err != nil {
		t.Fatal(err)
	}
	if all, err := e.list(t.Context(), largeAnswer()); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("%d elements, %v", len(all), err)
	}
}

// Typical expressions work, also for each of many elements.
func TestOrdinaryExpressionsAreNotRefused(t *testing.T) {
	for source, want := range map[string]string{
		`body.small + "-" + body.small`:                          "abc-abc",
		`body.small.replace("b", "BB")`:                          "aBBc",
		`body.small.replace("", "-", 2)`:                         "-a-bc",
		`["a", "b"].join("/") + body.small.upperAscii()`:         "a/bABC",
		`"a,b,c".split(",")[1] + "abc".split("")[2]`:             "bc",
		`"%s is %d, %.2f".format(["x", 3, 1.5])`:                 "x is 3, 1.50",
		`base64.encode(b"abc") + string(base64.decode("YWJj"))`:  "YWJjabc",
		`strings.quote(body.small).reverse()`:                    `"cba"`,
		`string(size(body.list.map(e, e + "!")))`:                "10000",
		`string(size(body.list.filter(e, e == "element")))`:      "10000",
		`string(size([1] + [] + [2] + [3]))`:                     "3",
		`body.small.matches("^[a-c]+$") ? "yes" : "no"`:          "yes",
		`body.small.matches("^[a-z0-9-]{3,255}$") ? "y" : "n"`:   "y",
		`"abc" in body.list ? "yes" : "no"`:                      "no",
		`[1, 2] == [1, 2] && {"a": [1]} != {"a": [2]} ? "y":"n"`: "y",
		`sets.contains(["a", "b"], ["a"]) ? "yes" : "no"`:        "yes",
		`" abc ".trim().substring(1).charAt(0) + string(1)`:      "b1",
	} {
		e, err := compileExpression("f", source, []string{varBody, varStatus, varHeaders}, nil)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if got, err := e.word(t.Context(), largeAnswer()); err != nil || got != want {
			t.Errorf("%s: got %q, %v", source, got, err)
		}
	}
}

// Every function of the library is either bounded or listed as harmless, so a new version of the library
// cannot add one unnoticed.
func TestEveryFunctionIsBoundedOrHarmless(t *testing.T) {
	env, err := environment()
	if err != nil {
		t.Fatal(err)
	}
	// The results of these functions are not longer than a number, a time or their arguments.
	harmless := []string{
		"@not_strictly_false", "!_", "-_", "_!=_", "_%_", "_&&_", "_*_", "_-_", "_/_", "_<=_", "_<_", "_>=_", "_>_", "_?._", "_?_:_", "_[?_]", "_[_]", "_||_",
		"bool", "contains", "double", "duration", "dyn", "endsWith", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear",
		"getHours", "getMilliseconds", "getMinutes", "getMonth", "getSeconds", "hasValue", "indexOf", "int", "lastIndexOf", "optional.none", "optional.of",
		"optional.ofNonZeroValue", "optional.unwrap", "or", "orValue", "size", "startsWith", "timestamp", "type", "uint", "unwrapOpt", "value",
		"__not_strictly_false__", "_in_", "in", "first", "last",
	}
	for _, name := range slices.Sorted(maps.Keys(env.Functions())) {
		if bounds[name] == nil && !slices.Contains(harmless, name) {
			t.Errorf("%q has no bound", name)
		}
	}
	if bounds[operators.Add] == nil {
		t.Error("sums have no bound")
	}
}

func TestExpressionEndsWithItsContext(t *testing.T) {
	e, err := compileExpression("f", `body.list.all(a, body.list.all(b, a == b)) ? "a" : "b"`, []string{varBody, varStatus, varHeaders}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.word(ctx, largeAnswer()); err == nil {
		t.Error("no error")
	}
}

// Nested macros can turn a short expression into a program that fills the memory when it is compiled. No
// limit of the evaluation prevents that.
func TestMacrosThatCopyTheirOperandAreRefused(t *testing.T) {
	for _, macro := range []string{"optMap", "optFlatMap"} {
		source := "optional.of(body)" + strings.Repeat("."+macro+"(x, x)", 4)
		if _, err := compileExpression("f", source, []string{varBody}, nil); err == nil {
			t.Errorf("%s is admitted, which copies what it is called on", macro)
		}
	}
	for _, macro := range []string{"body.map(x, %s)", "body.filter(x, size(%s) > 0)", "[body.exists(x, size(%s) > 0)]", "[has(body.x) ? %s : body]"} {
		source := "body"
		for range 8 {
			source = strings.Replace(macro, "%s", source, 1)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := compileExpression("f", source, []string{varBody}, nil); err != nil {
			t.Errorf("%s: %v", source, err)
		}
		runtime.ReadMemStats(&after)
		if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 16 {
			t.Errorf("%s took %d MiB", macro, took)
		}
	}
}

func TestDeeplyNestedExpressionsAreRefused(t *testing.T) {
	for name, source := range map[string]string{
		"lists":   strings.Repeat("[", 240) + "1" + strings.Repeat("]", 240),
		"maps":    strings.Repeat("{1:", 200) + "1" + strings.Repeat("}", 200),
		"loops":   strings.Repeat("[1].map(a,", 90) + "1" + strings.Repeat(")", 90),
		"a chain": "[1]" + strings.Repeat(".map(a,[a])", 90),
	} {
		if _, err := compileExpression("f", source, []string{varBody}, nil); err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, source := range map[string]string{
		"lists":   strings.Repeat("[", maxAggregates) + "1" + strings.Repeat("]", maxAggregates),
		"a chain": "[1]" + strings.Repeat(".map(a,[a])", (maxAggregates-1)/4),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := compileExpression("f", source, []string{varBody}, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		runtime.ReadMemStats(&after)
		if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 64 {
			t.Errorf("%s took %d MiB", name, took)
		}
	}
}
