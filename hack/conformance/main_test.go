package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/test/support/conformance"
)

func TestAttributesAreThoseOfTheSuite(t *testing.T) {
	if attrGroup != conformance.AttrGroup || attrNotApplicable != conformance.AttrNotApplicable {
		t.Errorf("got %s and %s, want %s and %s", attrGroup, attrNotApplicable, conformance.AttrGroup, conformance.AttrNotApplicable)
	}
}

// line is one event of a package of drivers.
func line(action, pkg, name, more string) string {
	return `{"Action":"` + action + `","Package":"x/provider/` + pkg + `","Test":"` + name + `"` + more + "}\n"
}

func group(pkg, name, group string) string {
	return line("attr", pkg, name, `,"Key":"conformance-group","Value":"`+group+`"`)
}

func notApplicable(pkg, name, value string) string {
	return line("attr", pkg, name, `,"Key":"conformance-not-applicable","Value":"`+value+`"`)
}

func TestTableCountsRequirementsPerDriver(t *testing.T) {
	const legend = "\nRequirements passed; n/a: those that do not apply to the driver.\n"
	passes := group("aws", "TestConformance/A", "mint") + line("pass", "aws", "TestConformance/A", "") +
		group("aws", "TestConformance/B", "manual") + line("pass", "aws", "TestConformance/B", "")
	cases := map[string]struct {
		reason string
		in     string
		want   string
		failed bool
		err    bool
	}{
		"passed": {
			reason: "each group has a column, in the order of the suite", in: passes,
			want: "driver  mint  manual\naws     1     1\n" + legend,
		},
		"not applicable": {
			reason: "a group may have both, or only what does not apply",
			in:     passes + notApplicable("aws", "TestConformance", "mint/C") + notApplicable("ibee", "TestConformance", "manual/B"),
			want:   "driver  mint       manual\naws     1 (1 n/a)  1\nibee               n/a\n" + legend,
		},
		"failed": {
			reason: "the output of a failed test is shown, that of a passed one is not",
			in: line("output", "aws", "TestConformance/A", `,"Output":"hidden\n"`) + passes +
				group("aws", "TestConformance/C", "mint") + line("output", "aws", "TestConformance/C", `,"Output":"shown\n"`) +
				line("fail", "aws", "TestConformance/C", ""),
			want: "shown\ndriver  mint           manual\naws     FAILED 1 of 2  1\n" + legend, failed: true,
		},
		"never ended": {
			reason: "a test that panicked has no end", in: group("aws", "TestConformance/A", "mint"),
			want: "driver  mint\naws     FAILED 1 of 1\n" + legend, failed: true,
		},
		"several runs": {
			reason: "a driver may run the suite more than once",
			in: group("rest", "TestConformanceGitea/A", "mint") + line("pass", "rest", "TestConformanceGitea/A", "") +
				group("rest", "TestConformance/bare_list/A", "mint") + line("pass", "rest", "TestConformance/bare_list/A", ""),
			want: "driver          mint\nrest Gitea      1\nrest bare list  1\n" + legend,
		},
		"other tests": {
			reason: "a test of the harness is not a requirement, but its failure fails the command",
			in:     passes + line("fail", "aws", "TestConformanceRunsEveryRequirement", ""),
			want:   "driver  mint  manual\naws     1     1\n" + legend, failed: true,
		},
		"no JSON": {
			reason: "other output of go is passed on", in: "go: downloading\n" + passes,
			want: "go: downloading\ndriver  mint  manual\naws     1     1\n" + legend,
		},
		"does not compile": {
			reason: "the compiler's words are shown",
			in:     `{"Action":"build-output","Output":"x.go:1: no\n"}` + "\n" + line("fail", "aws", "", "") + passes,
			want:   "x.go:1: no\ndriver  mint  manual\naws     1     1\n" + legend, failed: true,
		},
		"nothing": {reason: "an empty table is a failure", failed: true, err: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			failed, err := run(strings.NewReader(tc.in), &out)
			if failed != tc.failed || (err != nil) != tc.err {
				t.Errorf("%s: failed %t, error %v", tc.reason, failed, err)
			}
			if diff := cmp.Diff(tc.want, out.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
