package cli

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
)

// viewVersion is the apiVersion of what the plugin prints itself: no object of the cluster.
const viewVersion = "plugin.apitoken.dev/v1alpha1"

// The formats that people read, and that of names.
const (
	formatTable = "table"
	formatWide  = "wide"
	formatName  = "name"
)

// output is the flag -o with all that belongs to it.
type output struct {
	flags     *genericclioptions.PrintFlags
	human     []string
	noHeaders bool
}

// newOutput adds -o to a command. human are the formats for people, the first of
// them the default.
func newOutput(cmd *cobra.Command, scheme *runtime.Scheme, human ...string) *output {
	o := &output{flags: genericclioptions.NewPrintFlags("").WithTypeSetter(scheme), human: human}
	o.flags.AddFlags(cmd)
	formats := append(append([]string{}, human...), o.flags.AllowedFormats()...)
	cmd.Flag("output").Usage = "Output format. One of: " + strings.Join(formats, ", ") + "."
	cmd.Flag("output").DefValue = human[0]
	offered := append(append([]string{}, human...), "json", "yaml", formatName, "jsonpath=")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(offered, cobra.ShellCompDirectiveNoFileComp))
	return o
}

// headers adds --no-headers.
func (o *output) headers(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.noHeaders, "no-headers", false, "When using the table format, don't print headers.")
}

// forPeople returns the human format that is asked for; ok is false when a
// program reads the output.
func (o *output) forPeople() (format string, ok bool) {
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

// check refuses a format before anything is done.
func (o *output) check() error {
	if _, ok := o.forPeople(); ok {
		return nil
	}
	if _, err := o.flags.ToPrinter(); err != nil {
		return usage("-o: %w", err)
	}
	return nil
}

// object prints an object of the cluster in a format for programs.
func (o *output) object(w io.Writer, obj runtime.Object) error {
	p, err := o.flags.ToPrinter()
	if err != nil {
		return usage("-o: %w", err)
	}
	return p.PrintObj(obj, w)
}

// list prints a list, or each of its items where a format is one of names.
func (o *output) list(w io.Writer, list runtime.Object) error {
	if *o.flags.OutputFormat != formatName {
		return o.object(w, list)
	}
	return meta.EachListItem(list, func(item runtime.Object) error { return o.object(w, item) })
}

// view prints what the plugin found out in a format for programs.
func (o *output) view(w io.Writer, kind string, value any) error {
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
	return o.object(w, u)
}

// table prints rows.
func (o *output) table(w io.Writer, wide bool, columns []metav1.TableColumnDefinition, rows [][]any) error {
	return o.tableTo(printers.GetNewTabWriter(w), wide, columns, rows)
}

// tableTo prints rows with a tab writer, which remembers the widths of the columns.
func (o *output) tableTo(w io.Writer, wide bool, columns []metav1.TableColumnDefinition, rows [][]any) error {
	t := &metav1.Table{ColumnDefinitions: columns}
	for _, cells := range rows {
		for i, cell := range cells {
			if text, ok := cell.(string); ok {
				cells[i] = oneLine(text)
			}
		}
		t.Rows = append(t.Rows, metav1.TableRow{Cells: cells})
	}
	if err := printers.NewTablePrinter(printers.PrintOptions{NoHeaders: o.noHeaders, Wide: wide}).PrintObj(t, w); err != nil {
		return err
	}
	if tabs, ok := w.(interface{ Flush() error }); ok {
		return tabs.Flush()
	}
	return nil
}

// columns makes column definitions; a name that begins with + is for -o wide only.
func columns(names ...string) []metav1.TableColumnDefinition {
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
