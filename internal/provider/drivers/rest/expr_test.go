package rest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/cel"

	"apitoken.dev/operator/internal/provider/httpapi"
)

const answerOfTest = `{"id": 9007199254740993, "name": "n", "f": 1.5, "list": [{"a": "CANARY"}], "none": null, "at": "2026-03-01T12:00:00Z", "unix": 1772366400, "deep": {"x": true}}`

func varsOfTest(t *testing.T) map[string]any {
	t.Helper()
	var d document
	if err := json.Unmarshal([]byte(answerOfTest), &d); err != nil {
		t.Fatal(err)
	}
	return variables(httpapi.Answer{Status: 201, Header: http.Header{"X-Next": {"p2"}}}, d)
}

func exprOfTest(t *testing.T, source string, want []*cel.Type) *expression {
	t.Helper()
	e, err := compileExpression("spec.rest.list.next", source, []string{varBody, varStatus, varHeaders}, want)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestWordsAreTextsOrWholeNumbers(t *testing.T) {
	for source, want := range map[string]string{
		`body.name`:                      "n",
		`body.id`:                        "9007199254740993", // all its digits
		`headers["x-next"]`:              "p2",
		`body.?missing.orValue("")`:      "",
		`body.?missing`:                  "",
		`body.none`:                      "",
		`body.list[0].a.lowerAscii()`:    "canary",
		`status == 201 ? "made" : "not"`: "made",
	} {
		if got, err := exprOfTest(t, source, nil).word(t.Context(), varsOfTest(t)); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", source, got, err, want)
		}
	}
	for _, source := range []string{`body.list`, `body.f`, `body.missing`, `body.list[0].a + 1`, `body.deep.x`} {
		_, err := exprOfTest(t, source, nil).word(t.Context(), varsOfTest(t))
		if err == nil || !strings.HasPrefix(err.Error(), "spec.rest.list.next ") || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: got %v, want an error of the field that repeats nothing", source, err)
		}
	}
}

func TestTimesAreRFC3339OrUnixSeconds(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for source, want := range map[string]time.Time{
		`body.at`: noon, `body.unix`: noon, `timestamp(body.at)`: noon, `body.unix * 1000 / 1000`: noon,
		`body.none`: {}, `0`: {}, `""`: {}, `body.?missing.orValue(null)`: {},
	} {
		if got, err := exprOfTest(t, source, nil).time(t.Context(), varsOfTest(t)); err != nil || !got.Equal(want) {
			t.Errorf("%s: got %s, %v; want %s", source, got, err, want)
		}
	}
	for _, source := range []string{`body.name`, `body.f`, `body.deep`} {
		if got, err := exprOfTest(t, source, nil).time(t.Context(), varsOfTest(t)); err == nil {
			t.Errorf("%s: got %s, want an error", source, got)
		}
	}
}

func TestListsAndBooleansAreTypeChecked(t *testing.T) {
	if got, err := exprOfTest(t, `body.list`, lists).list(t.Context(), varsOfTest(t)); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := exprOfTest(t, `body.none`, lists).list(t.Context(), varsOfTest(t)); err != nil || len(got) != 0 {
		t.Errorf("null: got %v, %v", got, err)
	}
	if _, err := exprOfTest(t, `body.name`, lists).list(t.Context(), varsOfTest(t)); err == nil {
		t.Error("a text is a list")
	}
	if got, err := exprOfTest(t, `body.deep.x`, booleans).truth(t.Context(), varsOfTest(t)); err != nil || !got {
		t.Errorf("got %t, %v", got, err)
	}
	if _, err := exprOfTest(t, `body.name`, booleans).truth(t.Context(), varsOfTest(t)); err == nil {
		t.Error("a text is true or false")
	}
}

func TestExpensiveExpressionIsStopped(t *testing.T) {
	const ten = `[1,2,3,4,5,6,7,8,9,10]`
	source := "1"
	for _, v := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		source = ten + ".map(" + v + ", " + source + ").size()"
	}
	if got, err := exprOfTest(t, source, nil).word(t.Context(), varsOfTest(t)); err == nil {
		t.Errorf("got %q, want an error", got)
	}
}

func TestInvalidExpressionsAreRejected(t *testing.T) {
	for name, tc := range map[string]struct {
		source, says string
		types        []*cel.Type
	}{
		"a mistake":            {source: `body.`, says: "is not an expression"},
		"an unknown variable":  {source: `answer.id`, says: "undeclared reference"},
		"a variable elsewhere": {source: `item.id`, says: "there is no item here; there are body, status, headers"},
		"another type":         {source: `status`, says: "gives a int, and bool is needed", types: booleans},
		"a list for a word":    {source: `[1]`, says: "string or int is needed", types: words},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := compileExpression("spec.rest.list.next", tc.source, []string{varBody, varStatus, varHeaders}, tc.types)
			if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "spec.rest.list.next") {
				t.Errorf("got %v, want an error of the field with %q", err, tc.says)
			}
		})
	}
}
