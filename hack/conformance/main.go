// Command conformance reads the output of go test -json of the drivers'
// conformance tests and prints a table: how many requirements each driver passed, by group.
// It fails when a test failed.
//
//	go test ./internal/provider/... ./test/support/fake -run '^TestConformance' -json | go run ./hack/conformance
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"text/tabwriter"
)

// The attributes that the suite sets on its tests; see package conformance.
const (
	attrGroup         = "conformance-group"
	attrNotApplicable = "conformance-not-applicable"
)

func main() {
	failed, err := run(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
	}
	if failed || err != nil {
		os.Exit(1)
	}
}

// event is one line of go test -json (go doc test2json).
type event struct {
	Action, Package, Test, Output, Key, Value string
}

// test is one test of one package.
type test struct{ pkg, name string }

// cell counts the requirements of one group on one driver.
type cell struct{ passed, failed, notApplicable int }

func (c cell) String() string {
	switch {
	case c.failed > 0:
		return fmt.Sprintf("FAILED %d of %d", c.failed, c.failed+c.passed)
	case c.passed > 0 && c.notApplicable > 0:
		return fmt.Sprintf("%d (%d n/a)", c.passed, c.notApplicable)
	case c.passed > 0:
		return fmt.Sprint(c.passed)
	case c.notApplicable > 0:
		return "n/a"
	}
	return ""
}

// results are the events that were read so far.
type results struct {
	groups []string                   // in the order of the suite
	cells  map[string]map[string]cell // by driver and group
	open   map[test]string            // requirements that have begun, and their groups
	output map[test][]string
	failed bool
}

func run(in io.Reader, out io.Writer) (failed bool, err error) {
	r := &results{cells: map[string]map[string]cell{}, open: map[test]string{}, output: map[test][]string{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text()) // a message of go itself
			continue
		}
		r.add(e, out)
	}
	if err := lines.Err(); err != nil {
		return true, err
	}
	for t := range r.open { // requirements that never ended
		r.end(t, false)
	}
	if len(r.cells) == 0 {
		return true, fmt.Errorf("no requirement was run")
	}
	return r.failed, r.print(out)
}

func (r *results) add(e event, out io.Writer) {
	t := test{e.Package, e.Test}
	switch e.Action {
	case "attr":
		r.attribute(t, e)
	case "build-output":
		fmt.Fprint(out, e.Output)
	case "output":
		r.output[t] = append(r.output[t], e.Output)
	case "pass", "skip":
		r.end(t, e.Action == "pass")
		delete(r.output, t)
	case "fail":
		r.failed = true
		r.end(t, false)
		fmt.Fprint(out, strings.Join(r.output[t], ""))
		delete(r.output, t)
	}
}

func (r *results) attribute(t test, e event) {
	switch e.Key {
	case attrGroup:
		r.open[t] = e.Value
		r.cell(t.driver(path.Dir(t.name)), e.Value, cell{})
	case attrNotApplicable:
		group, _, _ := strings.Cut(e.Value, "/")
		r.cell(t.driver(t.name), group, cell{notApplicable: 1})
	}
}

// end counts a requirement. Other tests are ignored.
func (r *results) end(t test, passed bool) {
	group, ok := r.open[t]
	if !ok {
		return
	}
	delete(r.open, t)
	add := cell{passed: 1}
	if !passed {
		r.failed = true
		add = cell{failed: 1}
	}
	r.cell(t.driver(path.Dir(t.name)), group, add)
}

func (r *results) cell(driver, group string, add cell) {
	if !slices.Contains(r.groups, group) {
		r.groups = append(r.groups, group)
	}
	if r.cells[driver] == nil {
		r.cells[driver] = map[string]cell{}
	}
	c := r.cells[driver][group]
	r.cells[driver][group] = cell{c.passed + add.passed, c.failed + add.failed, c.notApplicable + add.notApplicable}
}

// driver returns the name of the package. For a driver that runs the suite several times, the
// name of the test after TestConformance follows it.
func (t test) driver(runs string) string {
	_, variant, _ := strings.Cut(runs, "TestConformance")
	return strings.TrimSpace(path.Base(t.pkg) + " " + strings.ReplaceAll(strings.Trim(variant, "/"), "_", " "))
}

func (r *results) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "driver\t"+strings.Join(r.groups, "\t"))
	var drivers []string
	for driver := range r.cells {
		drivers = append(drivers, driver)
	}
	slices.Sort(drivers)
	for _, driver := range drivers {
		row := driver
		for _, group := range r.groups {
			row += "\t" + r.cells[driver][group].String()
		}
		fmt.Fprintln(w, row)
	}
	fmt.Fprintln(w, "\nRequirements passed; n/a: those that do not apply to the driver.")
	return w.Flush()
}
