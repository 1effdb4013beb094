package rest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/ext"
	"github.com/google/cel-go/interpreter"

	"apitoken.dev/operator/internal/provider"
)

// The variables of expressions.
const (
	varBody    = "body"
	varStatus  = "status"
	varHeaders = "headers"
	varItem    = "item"
	varPage    = "page"
	varWant    = "want"
)

// maxCost limits the cost of one evaluation of an expression, in CEL's units: several
// hundred times the cost of reading one value.
const maxCost = 1_000_000

// maxEffort limits the cost of all expressions that read one answer: for each of 10,000
// elements a hundred times the cost of reading one value. Only a few answers are read at the
// same time, so without this limit one provider could block all others.
const maxEffort = 1_000_000

type effortKey struct{}

// reading returns a context for the expressions that read one answer. It limits their cost
// to maxEffort.
func reading(ctx context.Context) context.Context {
	return context.WithValue(ctx, effortKey{}, new(uint64))
}

// interruptEvery is the number of steps after which a loop of an expression checks whether
// the context has ended.
const interruptEvery = 100

// environment has every variable that an expression may read. CEL has no access
// to files, to the environment or to the network.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable(varBody, cel.DynType),
		cel.Variable(varStatus, cel.IntType),
		cel.Variable(varHeaders, cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable(varItem, cel.DynType),
		cel.Variable(varPage, cel.IntType),
		cel.Variable(varWant, cel.MapType(cel.StringType, cel.DynType)),
		cel.OptionalTypes(),
		ext.Strings(), ext.Sets(), ext.Encoders(),
		// Without optMap and optFlatMap: they copy their operand, so a chain of ten of them
		// compiles to a program of gigabytes.
		cel.ClearMacros(), cel.Macros(cel.StandardMacros...),
	)
})

// guarding returns the options that limit the calls of expressions in the environment.
var guarding = sync.OnceValues(func() (interpreter.InterpretableDecoratorV2, error) {
	env, err := environment()
	if err != nil {
		return nil, err
	}
	return guarded(env)
})

// The types that an expression may have.
var (
	words    = []*cel.Type{cel.StringType, cel.IntType}
	booleans = []*cel.Type{cel.BoolType}
	lists    = []*cel.Type{cel.ListType(cel.DynType)}
	times    = []*cel.Type{cel.StringType, cel.IntType, cel.TimestampType, cel.NullType}
	pages    = []*cel.Type{cel.StringType, cel.IntType, cel.NullType}
)

// expression is a compiled expression. It is safe for concurrent use.
type expression struct {
	field   string
	program cel.Program
}

// compileExpression compiles an expression that can read only the given variables and has
// one of the types; with nil types, any type. It returns nil for an empty source. Errors name
// the field.
func compileExpression(field, source string, variables []string, want []*cel.Type) (*expression, error) {
	if source == "" {
		return nil, nil
	}
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("making the environment of expressions: %w", err)
	}
	checked, issues := env.Parse(source)
	if issues.Err() == nil && aggregates(checked) > maxAggregates {
		return nil, provider.Invalid(fmt.Sprintf("%s has more than %d lists, maps and macros", field, maxAggregates))
	}
	if issues.Err() == nil {
		checked, issues = env.Check(checked)
	}
	if issues.Err() != nil {
		return nil, provider.Invalid(fmt.Sprintf("%s is not an expression: %s", field, firstLine(issues.Errors()[0].Message)))
	}
	if e := wrongVariable(checked, variables); e != "" {
		return nil, provider.Invalid(fmt.Sprintf("%s: there is no %s here; there are %s", field, e, strings.Join(variables, ", ")))
	}
	if want != nil && !fits(checked.OutputType(), want) {
		return nil, provider.Invalid(fmt.Sprintf("%s gives a %s, and %s is needed", field, checked.OutputType(), typeNames(want)))
	}
	guard, err := guarding()
	if err != nil {
		return nil, fmt.Errorf("making the limits of expressions: %w", err)
	}
	program, err := env.Program(checked, cel.CostLimit(maxCost), cel.CostTracking(charge{}),
		cel.InterruptCheckFrequency(interruptEvery), cel.CustomDecoratorV2(guard))
	if err != nil {
		return nil, provider.Invalid(field + " cannot be used as an expression: " + firstLine(err.Error()))
	}
	return &expression{field: field, program: program}, nil
}

// maxAggregates is how many lists, maps and loops an expression can have; a macro such as
// map has three. Their types nest, and the time of the type check grows with the cube of
// their number.
const maxAggregates = 48

func aggregates(parsed *cel.Ast) int {
	n := 0
	ast.PostOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.ListKind || e.Kind() == ast.MapKind || e.Kind() == ast.ComprehensionKind {
			n++
		}
	}))
	return n
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// wrongVariable returns a variable that the expression reads and that is not in the list.
func wrongVariable(checked *cel.Ast, variables []string) string {
	for _, name := range []string{varBody, varStatus, varHeaders, varItem, varPage, varWant} {
		if slices.Contains(variables, name) {
			continue
		}
		for _, reference := range checked.NativeRep().ReferenceMap() {
			if reference.Name == name {
				return name
			}
		}
	}
	return ""
}

func fits(got *cel.Type, wanted []*cel.Type) bool {
	return slices.ContainsFunc(wanted, func(w *cel.Type) bool { return w.IsAssignableType(got) || got.IsExactType(cel.DynType) })
}

func typeNames(list []*cel.Type) string {
	var out []string
	for _, t := range list {
		out = append(out, t.String())
	}
	return strings.Join(out, " or ")
}

// eval returns the value of the expression. Errors contain no text of the answer: neither its
// values, nor messages of CEL that can contain them.
func (e *expression) eval(ctx context.Context, variables map[string]any) (ref.Val, error) {
	effort, limited := ctx.Value(effortKey{}).(*uint64)
	if limited && *effort > maxEffort || ctx.Err() != nil {
		return nil, fmt.Errorf("%s takes too long: all expressions together may cost %d for one answer", e.field, maxEffort)
	}
	out, details, err := e.program.ContextEval(ctx, variables)
	if cost := details.ActualCost(); limited && cost != nil {
		*effort += *cost
	}
	switch {
	case errors.Is(err, errTooMuch):
		return nil, fmt.Errorf("%s makes a value that is too large", e.field)
	case err != nil:
		return nil, fmt.Errorf("%s does not fit the answer", e.field)
	}
	if optional, ok := out.(*types.Optional); ok {
		if !optional.HasValue() {
			return types.NullValue, nil
		}
		out = optional.GetValue()
	}
	return out, nil
}

// word returns a string or an integer as a string; "" for null.
func (e *expression) word(ctx context.Context, variables map[string]any) (string, error) {
	out, err := e.eval(ctx, variables)
	if err != nil {
		return "", err
	}
	switch v := out.(type) {
	case types.String:
		return string(v), nil
	case types.Int:
		return strconv.FormatInt(int64(v), 10), nil
	case types.Null:
		return "", nil
	}
	return "", fmt.Errorf("%s gives neither a text nor a whole number", e.field)
}

func (e *expression) truth(ctx context.Context, variables map[string]any) (bool, error) {
	out, err := e.eval(ctx, variables)
	if err != nil {
		return false, err
	}
	if b, ok := out.(types.Bool); ok {
		return bool(b), nil
	}
	return false, fmt.Errorf("%s gives neither true nor false", e.field)
}

// list returns the elements of a list. null is an empty list, because some encoders write an
// empty list as null.
func (e *expression) list(ctx context.Context, variables map[string]any) ([]any, error) {
	out, err := e.eval(ctx, variables)
	if err != nil {
		return nil, err
	}
	if out == types.NullValue {
		return nil, nil
	}
	all, ok := out.(traits.Lister)
	if !ok {
		return nil, fmt.Errorf("%s gives no list", e.field)
	}
	if elements(all) > maxElements {
		return nil, fmt.Errorf("%s gives more than %d elements", e.field, maxElements)
	}
	var items []any
	for it := all.Iterator(); it.HasNext() == types.True; {
		items = append(items, it.Next())
	}
	return items, nil
}

// time returns a time from RFC 3339 text, Unix seconds or a timestamp; the zero time for
// null, "" and 0.
func (e *expression) time(ctx context.Context, variables map[string]any) (time.Time, error) {
	out, err := e.eval(ctx, variables)
	if err != nil {
		return time.Time{}, err
	}
	switch v := out.(type) {
	case types.Timestamp:
		return v.Time, nil
	case types.Null:
		return time.Time{}, nil
	case types.Int:
		if v == 0 {
			return time.Time{}, nil
		}
		return time.Unix(int64(v), 0).UTC(), nil
	case types.String:
		if v == "" {
			return time.Time{}, nil
		}
		if t, err := time.Parse(time.RFC3339, string(v)); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s gives neither a time as RFC 3339 nor one in Unix seconds", e.field)
}
