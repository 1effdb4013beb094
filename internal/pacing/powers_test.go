package pacing

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
)

const (
	root     = "../.."
	contract = root + "/internal/provider"
)

// power is an optional interface of a provider's client.
type power struct {
	of reflect.Type
	// as is provider.As for this power.
	as func(c provider.Client) (any, bool)
	// call uses it.
	call func(ctx context.Context, c provider.Client) error
}

// powers are all of them. TestEveryPowerIsListed keeps the table complete.
var powers = map[string]power{
	"Updater": powerOf(func(ctx context.Context, u provider.Updater) error {
		_, err := u.Update(ctx, provider.Ref{Name: "n"}, provider.MintRequest{})
		return err
	}),
	"Counter": powerOf(func(ctx context.Context, c provider.Counter) error {
		_, err := c.Occupied(ctx)
		return err
	}),
	"Prober": powerOf(func(ctx context.Context, p provider.Prober) error {
		_, err := p.Accepts(ctx, nil, provider.Grant{})
		return err
	}),
}

func powerOf[T any](call func(context.Context, T) error) power {
	return power{
		of: reflect.TypeFor[T](),
		as: func(c provider.Client) (any, bool) { return provider.As[T](c) },
		call: func(ctx context.Context, c provider.Client) error {
			has, ok := c.(T)
			if !ok {
				return fmt.Errorf("it has no method of %s", reflect.TypeFor[T]())
			}
			return call(ctx, has)
		},
	}
}

// wrappers are the types that wrap a client, and how they are made.
// TestEveryWrapperIsListed keeps the table complete.
var wrappers = map[string]func(b *bench, c provider.Client) provider.Client{
	"internal/pacing.client":           func(b *bench, c provider.Client) provider.Client { return b.gate.Client(c, b.caller()) },
	"internal/provider/bounded.client": func(_ *bench, c provider.Client) provider.Client { return bounded.Client(c, bounded.Options{}) },
}

// withPowers returns a client with exactly these powers.
func withPowers(p *plain, names ...string) provider.Client {
	u, c, a := canUpdate{p}, canCount{p}, canProbe{p}
	slices.Sort(names)
	switch strings.Join(names, " ") {
	case "":
		return p
	case "Updater":
		return u
	case "Counter":
		return c
	case "Prober":
		return a
	case "Counter Updater":
		return struct {
			*plain
			provider.Updater
			provider.Counter
		}{p, u, c}
	case "Prober Updater":
		return struct {
			*plain
			provider.Updater
			provider.Prober
		}{p, u, a}
	case "Counter Prober":
		return struct {
			*plain
			provider.Counter
			provider.Prober
		}{p, c, a}
	case "Counter Prober Updater":
		return struct {
			*plain
			provider.Updater
			provider.Counter
			provider.Prober
		}{p, u, c, a}
	default:
		panic("no client with the powers " + strings.Join(names, " "))
	}
}

// TestWrappersKeepThePowers: a wrapped client has exactly the powers of the client that it
// wraps, however often it is wrapped. provider.As returns the wrapper itself, and a power
// that is missing sends nothing.
func TestWrappersKeepThePowers(t *testing.T) {
	layers := maps.Clone(wrappers)
	layers["both"] = func(b *bench, c provider.Client) provider.Client {
		return wrappers["internal/pacing.client"](b, wrappers["internal/provider/bounded.client"](b, c))
	}
	for layer, wrap := range layers {
		for _, names := range subsets(slices.Sorted(maps.Keys(powers))) {
			t.Run(layer+" "+strings.Join(names, "+"), func(t *testing.T) {
				b := newBench(t)
				b.gate.limiter = newLimiter(b.clock, -1, 2)
				c := wrap(b, withPowers(b.inner, names...))
				for name, power := range powers {
					want := slices.Contains(names, name)
					got, ok := power.as(c)
					if ok != want {
						t.Errorf("As[%s] returns %t", name, ok)
					}
					if ok && got != any(c) {
						t.Errorf("As[%s] returns a %T, not the wrapper", name, got)
					}
					before := b.inner.calls
					err := power.call(t.Context(), c)
					if sent := b.inner.calls > before; sent != want {
						t.Errorf("%s: sent: %t", name, sent)
					}
					if !want && (err == nil || provider.InDoubt(err)) {
						t.Errorf("%s is missing, and the error is %v", name, err)
					}
				}
			})
		}
	}
}

// subsets returns all subsets.
func subsets(names []string) [][]string {
	if len(names) == 0 {
		return [][]string{nil}
	}
	rest := subsets(names[1:])
	all := slices.Clone(rest)
	for _, s := range rest {
		all = append(all, append([]string{names[0]}, s...))
	}
	return all
}

// TestEveryPowerIsListed: the contract says of each interface what it is a power of.
func TestEveryPowerIsListed(t *testing.T) {
	clients, _ := documentedPowers(t)
	if diff := cmp.Diff(clients, slices.Sorted(maps.Keys(powers))); diff != "" {
		t.Errorf("the optional interfaces of a Client and the table of this test (-documented +listed):\n%s", diff)
	}
}

// TestEveryWrapperIsListed: a wrapper is a struct that embeds provider.Wrapped.
func TestEveryWrapperIsListed(t *testing.T) {
	var found []string
	eachFile(t, func(path string, file *ast.File) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			s, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range s.Fields.List {
				if len(field.Names) == 0 && nameIn("provider", field.Type) == "Wrapped" {
					found = append(found, filepath.ToSlash(filepath.Dir(path))+"."+spec.Name.Name)
				}
			}
			return true
		})
	})
	slices.Sort(found)
	if diff := cmp.Diff(found, slices.Sorted(maps.Keys(wrappers))); diff != "" {
		t.Errorf("the wrappers and the table of this test (-found +listed):\n%s", diff)
	}
}

// TestPowersAreAskedForWithAs: a wrapper has the methods of every power, so a type
// assertion would find powers that the provider does not have.
func TestPowersAreAskedForWithAs(t *testing.T) {
	clients, drivers := documentedPowers(t)
	all := append(clients, drivers...)
	read := 0
	eachFile(t, func(path string, file *ast.File) {
		read++
		if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "test/") {
			return // a test knows what its client can do
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeAssertExpr:
				if name := nameIn("provider", n.Type); slices.Contains(all, name) {
					t.Errorf("%s: call provider.As[provider.%s] instead of a type assertion", path, name)
				}
			case *ast.TypeSwitchStmt:
				for _, clause := range n.Body.List {
					for _, of := range clause.(*ast.CaseClause).List {
						if name := nameIn("provider", of); slices.Contains(all, name) {
							t.Errorf("%s: call provider.As[provider.%s] instead of a type switch", path, name)
						}
					}
				}
			}
			return true
		})
	})
	if read < 100 {
		t.Errorf("only %d files were read", read)
	}
}

// documentedPowers are the interfaces of the contract that say that they are an optional
// power of a Client or of a Driver, sorted.
func documentedPowers(t *testing.T) (clients, drivers []string) {
	t.Helper()
	files, err := filepath.Glob(contract + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			of, ok := d.(*ast.GenDecl)
			if !ok || of.Tok != token.TYPE || len(of.Specs) != 1 {
				continue
			}
			name, doc := of.Specs[0].(*ast.TypeSpec).Name.Name, strings.Join(strings.Fields(of.Doc.Text()), " ")
			switch {
			case strings.Contains(doc, "optional interface of a Client"):
				clients = append(clients, name)
			case strings.Contains(doc, "optional interface of a Driver"):
				drivers = append(drivers, name)
			}
		}
	}
	slices.Sort(clients)
	slices.Sort(drivers)
	if len(clients) == 0 || len(drivers) == 0 {
		t.Fatalf("the contract has the powers %v and %v", clients, drivers)
	}
	return clients, drivers
}

// nameIn is the name that an expression takes from a package; empty if it does not.
func nameIn(pkg string, of ast.Expr) string {
	s, ok := of.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if x, ok := s.X.(*ast.Ident); !ok || x.Name != pkg {
		return ""
	}
	return s.Sel.Name
}

// eachFile parses every Go file of the repository.
func eachFile(t *testing.T, do func(path string, file *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin"):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		do(filepath.ToSlash(relative), file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
