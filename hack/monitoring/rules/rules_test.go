package rules

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"go.yaml.in/yaml/v3"
)

// These types are the part of promtool's format for rule tests that alerts need.
// "promtool test rules" runs the same files.
type (
	suite struct {
		RuleFiles          []string       `yaml:"rule_files"`
		EvaluationInterval model.Duration `yaml:"evaluation_interval"`
		Tests              []testCase     `yaml:"tests"`
	}
	testCase struct {
		Name           string         `yaml:"name"`
		Interval       model.Duration `yaml:"interval"`
		InputSeries    []input        `yaml:"input_series"`
		AlertRuleTests []expectation  `yaml:"alert_rule_test"`
	}
	input struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	}
	expectation struct {
		EvalTime  model.Duration `yaml:"eval_time"`
		Alertname string         `yaml:"alertname"`
		ExpAlerts []fired        `yaml:"exp_alerts"`
	}
	fired struct {
		Labels      map[string]string `yaml:"exp_labels"`
		Annotations map[string]string `yaml:"exp_annotations"`
	}
)

// generated is the committed file of rules.
var generated = filepath.Join("..", "..", "..", "charts", "apitoken-operator", "files", "alerts.yaml")

// parsed reads a file of rules as Prometheus does.
func parsed(t *testing.T, content []byte) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.Parse(content, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var out []rulefmt.Rule
	for _, g := range groups.Groups {
		out = append(out, g.Rules...)
	}
	return out
}

func suites(t *testing.T) map[string]suite {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	out := map[string]suite{}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		decoder := yaml.NewDecoder(strings.NewReader(string(content)))
		decoder.KnownFields(true)
		var s suite
		if err := decoder.Decode(&s); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = s
	}
	return out
}

// The engine of Prometheus evaluates the alerts on the series of each case.
func TestAlertsFireOnTheirSeries(t *testing.T) {
	content, err := os.ReadFile(generated)
	if err != nil {
		t.Fatal(err)
	}
	defined := parsed(t, content)
	for name, s := range suites(t) {
		for _, c := range s.Tests {
			t.Run(filepath.Base(name)+"/"+c.Name, func(t *testing.T) { runCase(t, defined, s, c) })
		}
	}
}

func runCase(t *testing.T, defined []rulefmt.Rule, s suite, c testCase) {
	var load strings.Builder
	fmt.Fprintf(&load, "load %s\n", c.Interval)
	for _, in := range c.InputSeries {
		fmt.Fprintf(&load, "  %s %s\n", in.Series, in.Values)
	}
	storage := promqltest.LoadedStorage(t, load.String())
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	query := rules.EngineQueryFunc(engine, storage)
	for _, want := range c.AlertRuleTests {
		i := slices.IndexFunc(defined, func(r rulefmt.Rule) bool { return r.Alert == want.Alertname })
		if i < 0 {
			t.Fatalf("there is no alert %s", want.Alertname)
		}
		got := evaluate(t, defined[i], query, time.Duration(s.EvaluationInterval), time.Duration(want.EvalTime))
		expected := map[string]map[string]string{}
		for _, f := range want.ExpAlerts {
			all := map[string]string{"alertname": want.Alertname}
			maps.Copy(all, f.Labels)
			expected[fmt.Sprint(all)] = f.Annotations
		}
		if diff := cmp.Diff(expected, got); diff != "" {
			t.Errorf("%s at %s (-want +got):\n%s", want.Alertname, want.EvalTime, diff)
		}
	}
}

// evaluate returns the annotations of the alerts that fire, by their labels.
func evaluate(t *testing.T, r rulefmt.Rule, query rules.QueryFunc, every, until time.Duration) map[string]map[string]string {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr)
	if err != nil {
		t.Fatal(err)
	}
	rule := rules.NewAlertingRule(r.Alert, expr, time.Duration(r.For), time.Duration(r.KeepFiringFor),
		labels.FromMap(r.Labels), labels.FromMap(r.Annotations), labels.EmptyLabels(), "", true, slog.New(slog.DiscardHandler))
	for at := time.Duration(0); at <= until; at += every {
		if _, err := rule.Eval(context.WithoutCancel(t.Context()), 0, time.Unix(0, 0).Add(at), query, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	out := map[string]map[string]string{}
	for _, a := range rule.ActiveAlerts() {
		if a.State == rules.StateFiring {
			out[fmt.Sprint(a.Labels.Map())] = a.Annotations.Map()
		}
	}
	return out
}

// Each alert has a case in which it fires, and one in which it does not.
func TestEveryAlertIsTested(t *testing.T) {
	fires, rests := map[string]bool{}, map[string]bool{}
	for _, s := range suites(t) {
		for _, c := range s.Tests {
			for _, want := range c.AlertRuleTests {
				if len(want.ExpAlerts) > 0 {
					fires[want.Alertname] = true
				} else {
					rests[want.Alertname] = true
				}
			}
		}
	}
	for _, a := range Alerts {
		if !fires[a.Name] || !rests[a.Name] {
			t.Errorf("%s: a case in which it fires: %t; one in which it does not: %t", a.Name, fires[a.Name], rests[a.Name])
		}
	}
}

func TestRunbooksCanBeAFolderOrAnAddress(t *testing.T) {
	for base, want := range map[string]string{
		"docs/runbooks":                 "docs/runbooks/ApiTokenNotReady.md",
		"https://example.com/runbooks/": "https://example.com/runbooks/ApiTokenNotReady.md",
	} {
		content, err := Render(base)
		if err != nil {
			t.Fatal(err)
		}
		rules := parsed(t, content)
		i := slices.IndexFunc(rules, func(r rulefmt.Rule) bool { return r.Alert == "ApiTokenNotReady" })
		if got := rules[i].Annotations["runbook_url"]; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestEveryAlertHasItsPage, and every page its alert.
func TestEveryAlertHasItsPage(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join("..", "..", "..", "docs", "runbooks", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, page := range pages {
		if name := strings.TrimSuffix(filepath.Base(page), ".md"); name != "README" {
			got = append(got, name)
		}
	}
	for _, a := range Alerts {
		want = append(want, a.Name)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/runbooks has other pages (-alerts +pages):\n%s", diff)
	}
	for _, a := range Alerts {
		page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "runbooks", a.Name+".md"))
		if err != nil {
			continue // reported above
		}
		for _, heading := range []string{"# " + a.Name + "\n", "## Meaning\n", "## Impact\n", "## What to look at\n", "## What to do\n"} {
			if !strings.Contains(string(page), heading) {
				t.Errorf("docs/runbooks/%s.md has no heading %q", a.Name, strings.TrimSpace(heading))
			}
		}
	}
}
