// Package output prints for people and for programs: the flag -o, tables, times and lists.
package output

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"

	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/terminal"
)

// viewVersion is the apiVersion of what the plugin prints itself: no object of the cluster.
const viewVersion = "plugin.apitoken.dev/v1alpha1"

// The formats that people read, and that of names.
const (
	FormatTable = "table"
	FormatWide  = "wide"
	formatName  = "name"
)

// Printer is the flag -o with all that belongs to it.
type Printer struct {
	flags     *genericclioptions.PrintFlags
	human     []string
	formats   []string
	NoHeaders bool
}

// NewPrinter adds -o to a command. human are the formats for people, the first of
// them the default.
func NewPrinter(cmd *cobra.Command, scheme *runtime.Scheme, human ...string) *Printer {
	o := &Printer{flags: genericclioptions.NewPrintFlags("").WithTypeSetter(scheme), human: human}
	o.flags.AddFlags(cmd)
	o.formats = append(append([]string{}, human...), o.flags.AllowedFormats()...)
	cmd.Flag("output").Usage = "Output format. One of: " + strings.Join(o.formats, ", ") + "."
	cmd.Flag("output").DefValue = human[0]
	offered := append(append([]string{}, human...), "json", "yaml", formatName, "jsonpath=")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(offered, cobra.ShellCompDirectiveNoFileComp))
	return o
}

// Headers adds --no-headers.
func (o *Printer) Headers(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.NoHeaders, "no-headers", false, "When using the table format, don't print headers.")
}

// ForPeople returns the human format that is asked for; ok is false when a
// program reads the output.
func (o *Printer) ForPeople() (format string, ok bool) {
	asked := *o.flags.OutputFormat
	if asked == "" && *o.flags.TemplatePrinterFlags.TemplateArgument == "" {
		return o.human[0], true
	}
	for _, h := range o.human {
		if asked == h {
			return h, true
		}
	}
	return "", false
}

// Check refuses a format before anything is done.
func (o *Printer) Check() error {
	if _, ok := o.ForPeople(); ok {
		return nil
	}
	if _, err := o.flags.ToPrinter(); err != nil {
		return o.refused(err)
	}
	return nil
}

// refused is the error for a format. That of the library does not list the human formats.
func (o *Printer) refused(err error) error {
	if genericclioptions.IsNoCompatiblePrinterError(err) {
		return exit.Usagef("-o: %q is not a format: write one of %s", *o.flags.OutputFormat, strings.Join(o.formats, ", "))
	}
	return exit.Usagef("-o: %w", err)
}

// Object prints an object of the cluster in a format for programs.
func (o *Printer) Object(w io.Writer, obj runtime.Object) error {
	p, err := o.flags.ToPrinter()
	if err != nil {
		return o.refused(err)
	}
	return p.PrintObj(obj, w)
}

// List prints a list, or each of its items where a format is one of names.
func (o *Printer) List(w io.Writer, list runtime.Object) error {
	if *o.flags.OutputFormat != formatName {
		return o.Object(w, list)
	}
	return meta.EachListItem(list, func(item runtime.Object) error { return o.Object(w, item) })
}

// View prints what the plugin found out in a format for programs.
func (o *Printer) View(w io.Writer, kind string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding the %s: %w", kind, err)
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		return fmt.Errorf("encoding the %s: %w", kind, err)
	}
	u := &unstructured.Unstructured{Object: fields}
	u.SetAPIVersion(viewVersion)
	u.SetKind(kind)
	return o.Object(w, u)
}

// Table prints rows.
func (o *Printer) Table(w io.Writer, wide bool, columns []metav1.TableColumnDefinition, rows [][]any) error {
	return o.TableTo(printers.GetNewTabWriter(w), wide, columns, rows)
}

// TableTo prints rows with a tab writer, which remembers the widths of the columns.
func (o *Printer) TableTo(w io.Writer, wide bool, columns []metav1.TableColumnDefinition, rows [][]any) error {
	t := &metav1.Table{ColumnDefinitions: columns}
	for _, cells := range rows {
		for i, cell := range cells {
			if text, ok := cell.(string); ok {
				cells[i] = terminal.OneLine(text)
			}
		}
		t.Rows = append(t.Rows, metav1.TableRow{Cells: cells})
	}
	if err := printers.NewTablePrinter(printers.PrintOptions{NoHeaders: o.NoHeaders, Wide: wide}).PrintObj(t, w); err != nil {
		return err
	}
	if tabs, ok := w.(interface{ Flush() error }); ok {
		return tabs.Flush()
	}
	return nil
}

// Columns makes column definitions; a name that begins with + is for -o wide only.
func Columns(names ...string) []metav1.TableColumnDefinition {
	out := make([]metav1.TableColumnDefinition, 0, len(names))
	for _, n := range names {
		name, wide := strings.CutPrefix(n, "+")
		c := metav1.TableColumnDefinition{Name: name, Type: "string"}
		if wide {
			c.Priority = 1
		}
		out = append(out, c)
	}
	return out
}
