package rest

import (
	"errors"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	celfunctions "github.com/google/cel-go/common/functions"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// A function of an expression can return a value that is much larger than its arguments,
// and CEL counts the cost of a call only after it has allocated the result. So the size of
// each result is computed from the arguments before the call, and a call whose result would
// be too large is an error. maxCost limits the size of all results of one evaluation
// together: charge counts their bytes.

// The limits of one call.
const (
	// maxValue is the length of the longest text that a function can return, in bytes.
	maxValue = 1 << 20
	// maxElements is the length of the longest list that a function can return or read.
	maxElements = 20_000
	// maxCompared is how many bytes a comparison of two values can read.
	maxCompared = 1 << 20
	// maxPattern and maxMatched limit a regular expression and the text that it is
	// matched with, in bytes. The time of a match grows with the length of the text and
	// with the number of instructions of the expression. Repetitions multiply the
	// instructions, so maxInstructions limits those.
	maxPattern, maxMatched, maxInstructions = 256, 16 << 10, 1024
	// maxClause is the length of the longest number in string.format, in bytes: a double
	// with the maximum number of digits (ext.Strings).
	maxClause = 512
	// bytesPerCost is how many bytes of a result count as one unit of CEL's cost.
	bytesPerCost = 4
	// matchedPerByte is how many steps of a match take as long as writing one byte.
	matchedPerByte = 4
)

// errTooMuch is the error of a call that was not made because its result would be too large.
var errTooMuch = errors.New("an expression makes a value that is too large")

// bound reports whether a call with these arguments stays within the limits.
type bound func(args []ref.Val) bool

// bounds has every function that returns texts or lists, or whose work is not proportional
// to the size of its arguments. All other functions return numbers, times, booleans or
// optionals.
var bounds = map[string]bound{
	operators.Add:       added,
	operators.Equals:    compared,
	operators.NotEquals: compared,
	operators.In:        compared,
	"matches":           matched,
	"replace":           replaced,
	"join":              joined,
	"split":             divided,
	"format":            formatted,
	"json.encode":       func(args []ref.Val) bool { return weigh(maxValue/6, args[0]) >= 0 },
	"strings.quote":     func(args []ref.Val) bool { return length(args[0])*6 <= maxValue },
	"lowerAscii":        copied,
	"upperAscii":        copied,
	"trim":              copied,
	"substring":         copied,
	"charAt":            copied,
	"reverse":           copied,
	"string":            copied,
	"bytes":             copied,
	"base64.encode":     func(args []ref.Val) bool { return length(args[0])*4/3+4 <= maxValue },
	"base64.decode":     copied,
	"sets.contains":     product,
	"sets.equivalent":   product,
	"sets.intersects":   product,
}

// length is the length of a text or bytes; 0 for any other value, which is small.
func length(v ref.Val) int {
	switch v := v.(type) {
	case types.String:
		return len(v)
	case types.Bytes:
		return len(v)
	}
	return 0
}

// elements is the size of a list; 0 for anything else.
func elements(v ref.Val) int {
	if l, ok := v.(traits.Lister); ok {
		if n, ok := l.Size().(types.Int); ok {
			return int(n)
		}
	}
	return 0
}

func copied(args []ref.Val) bool { return length(args[0]) <= maxValue }

func added(args []ref.Val) bool {
	return length(args[0])+length(args[1]) <= maxValue && elements(args[0])+elements(args[1]) <= maxElements
}

func compared(args []ref.Val) bool { return weigh(maxCompared, args...) >= 0 }

func matched(args []ref.Val) bool {
	return length(args[0]) <= maxMatched && length(args[1]) <= maxPattern && instructions(args[1]) <= maxInstructions
}

// instructions estimates the number of instructions of a regular expression.
func instructions(pattern ref.Val) int {
	text, _ := pattern.(types.String)
	parsed, err := syntax.Parse(string(text), syntax.Perl)
	if err != nil {
		return 0 // the function returns the error
	}
	return size(parsed)
}

func size(re *syntax.Regexp) int {
	n := 1
	if re.Op == syntax.OpLiteral {
		n = len(re.Rune)
	}
	for _, sub := range re.Sub {
		n += size(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(1, re.Min, re.Max)
	}
	return n
}

// product bounds functions that compare each element of one list with each element of
// another.
func product(args []ref.Val) bool {
	return compared(args) && elements(args[0])*elements(args[1]) <= maxElements
}

func replaced(args []ref.Val) bool {
	s, old, with := length(args[0]), length(args[1]), length(args[2])
	if s > maxValue {
		return false
	}
	times := 0
	if text, ok := args[0].(types.String); ok && s > 0 {
		if what, ok := args[1].(types.String); ok {
			times = strings.Count(string(text), string(what))
		}
	}
	if len(args) > 3 {
		if most, ok := args[3].(types.Int); ok && most >= 0 {
			times = min(times, int(most))
		}
	}
	return s+times*max(0, with-old) <= maxValue
}

func joined(args []ref.Val) bool {
	n := elements(args[0])
	if n > maxElements {
		return false
	}
	between := 0
	if len(args) > 1 {
		between = length(args[1])
	}
	return between*n <= maxValue && weigh(maxValue-between*n, args[0]) >= 0
}

func divided(args []ref.Val) bool {
	text, ok := args[0].(types.String)
	if !ok {
		return true
	}
	by, _ := args[1].(types.String)
	if by == "" {
		return utf8.RuneCountInString(string(text)) <= maxElements
	}
	return len(text) <= maxValue && strings.Count(string(text), string(by)) < maxElements
}

// formatted assumes the maximum length for each clause.
func formatted(args []ref.Val) bool {
	text, ok := args[0].(types.String)
	if !ok || len(args) < 2 {
		return true
	}
	left := maxValue - len(text) - maxClause*strings.Count(string(text), "%")
	return left >= 0 && weigh(left/4, args[1]) >= 0
}

// weigh subtracts the size of values from a number of bytes, and stops as soon as the result
// is below 0. A part that is shared counts each time it occurs.
func weigh(left int, values ...ref.Val) int {
	const each = 16 // the minimum size of a value
	for _, value := range values {
		left -= each + length(value)
		switch v := value.(type) {
		case traits.Mapper:
			for it := v.Iterator(); left >= 0 && it.HasNext() == types.True; {
				key := it.Next()
				left = weigh(left, key, v.Get(key))
			}
		case traits.Lister:
			for it := v.Iterator(); left >= 0 && it.HasNext() == types.True; {
				left = weigh(left, it.Next())
			}
		case *types.Optional:
			if v.HasValue() {
				left = weigh(left, v.GetValue())
			}
		}
		if left < 0 {
			return left
		}
	}
	return left
}

// guarded checks the bound of each function before it is called.
func guarded(env *cel.Env) (interpreter.InterpretableDecoratorV2, error) {
	calls := map[string]celfunctions.FunctionOp{
		operators.Equals:    func(args ...ref.Val) ref.Val { return types.Equal(args[0], args[1]) },
		operators.NotEquals: func(args ...ref.Val) ref.Val { return types.Bool(types.Equal(args[0], args[1]) != types.True) },
	}
	declared := env.Functions()
	for name := range bounds {
		if calls[name] != nil {
			continue
		}
		decl, ok := declared[name]
		if !ok {
			return nil, errors.New("there is no function " + name)
		}
		all, err := decl.Bindings()
		if err != nil {
			return nil, err
		}
		for _, o := range all {
			if o.Operator == name {
				calls[name] = variadic(o)
			}
		}
		if calls[name] == nil {
			return nil, errors.New("the CEL library has no function " + name + ", whose cost is limited here")
		}
	}
	return func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		call, ok := i.(interpreter.InterpretableCall)
		if !ok || calls[call.Function()] == nil {
			return i, nil
		}
		within, does := bounds[call.Function()], calls[call.Function()]
		return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(args ...ref.Val) ref.Val {
			if !within(args) {
				return types.WrapErr(errTooMuch)
			}
			return joinedLists(call.Function(), args, does)
		}), nil
	}, nil
}

// joinedLists calls a function, except when one of the lists is empty: the result is then the
// other list. Each sum is thus longer than its parts, and its size is found quickly.
func joinedLists(function string, args []ref.Val, does celfunctions.FunctionOp) ref.Val {
	if function == operators.Add {
		left, isList := args[0].(traits.Lister)
		right, isListToo := args[1].(traits.Lister)
		if isList && isListToo && left.Size() == types.IntZero {
			if _, filling := args[0].(traits.MutableLister); !filling {
				return right
			}
		}
		if isList && isListToo && right.Size() == types.IntZero {
			return left
		}
	}
	return does(args...)
}

func variadic(o *celfunctions.Overload) celfunctions.FunctionOp {
	return func(args ...ref.Val) ref.Val {
		switch {
		case len(args) == 1 && o.Unary != nil:
			return o.Unary(args[0])
		case len(args) == 2 && o.Binary != nil:
			return o.Binary(args[0], args[1])
		case o.Function != nil:
			return o.Function(args...)
		}
		return types.NoSuchOverloadErr()
	}
}

// charge counts the results of calls against the cost limit of an evaluation.
type charge struct{}

// CallCost implements interpreter.ActualCostEstimator. It returns nil for a call whose cost
// CEL computes.
func (charge) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	if bounds[function] == nil {
		return nil
	}
	made := length(result)
	if function == "matches" {
		made = length(args[0]) * instructions(args[1]) / matchedPerByte
	}
	if function == "split" {
		made = 32 * elements(result) // for each element a text and an interface
	}
	if made == 0 {
		return nil
	}
	cost := uint64(1 + made/bytesPerCost) //nolint:gosec // made is not negative
	return &cost
}
