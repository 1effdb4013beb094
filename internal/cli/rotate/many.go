package rotate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/session"
)

// defaultRate is how many ApiTokens are rotated per minute: providers limit requests,
// and workloads that restart should not all do so at once.
const defaultRate = 10

// manyOptions are the flags of rotate that choose more than one ApiToken.
type manyOptions struct {
	selector, provider string
	all, everywhere    bool
	dryRun, stop       bool
	rate               int
}

func (o *manyOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.selector, "selector", "l", "", "Rotate the ApiTokens that have these labels, as with kubectl get.")
	f.StringVar(&o.provider, "provider", "", "Rotate the ApiTokens of this provider: TokenProvider/NAME or ClusterTokenProvider/NAME. May be combined with -l.")
	f.BoolVar(&o.all, "all", false, "Rotate every ApiToken of the namespace.")
	f.BoolVarP(&o.everywhere, "all-namespaces", "A", false, "With -l, --provider or --all: in all namespaces.")
	f.BoolVar(&o.dryRun, "dry-run", false, "With -l, --provider or --all: show what would be rotated, and change nothing.")
	f.BoolVar(&o.stop, "stop-on-failure", false, "With -l, --provider or --all: stop at the first failure instead of going on to the next ApiToken.")
	f.IntVar(&o.rate, "rate", defaultRate, "With -l, --provider or --all: how many are rotated per minute; 0: no pause.")
}

// forMany reports whether a flag is set that needs one that chooses several ApiTokens.
func (o *manyOptions) forMany() bool { return o.everywhere || o.dryRun || o.stop }

func (o *manyOptions) chooses() bool { return o.selector != "" || o.provider != "" || o.all }

// check refuses command lines that name one and choose many, or neither.
func (o *manyOptions) check(args []string) error {
	switch {
	case o.chooses() && len(args) > 0:
		return exit.Usagef("rotate NAME: -l, --provider and --all choose several ApiTokens: leave them out, or the name: %s", session.Got(args))
	case !o.chooses() && len(args) != 1:
		return exit.Usagef("rotate NAME: name one ApiToken, or choose several with -l, --provider or --all: %s", session.Got(args))
	case len(args) == 1 && o.forMany():
		return exit.Usagef("-A, --dry-run and --stop-on-failure need -l, --provider or --all")
	case o.all && (o.selector != "" || o.provider != ""):
		return exit.Usagef("--all rotates every ApiToken: leave it out, or -l and --provider")
	case o.rate < 0:
		return exit.Usagef("--rate: %d cannot be negative: write for example 10, or 0 for no pause", o.rate)
	}
	_, err := session.ProviderFlag(o.provider)
	return err
}

// chosen lists the ApiTokens that the flags choose, by namespace and name.
func chosen(ctx context.Context, s *session.Session, o *manyOptions) ([]v1alpha1.ApiToken, error) {
	selector, err := labels.Parse(o.selector)
	if err != nil {
		return nil, exit.Usagef("-l: %w", err)
	}
	ref, err := session.ProviderFlag(o.provider)
	if err != nil {
		return nil, err
	}
	namespace := s.Namespace
	if o.everywhere {
		namespace = ""
	}
	tokens, err := s.Tokens(ctx, namespace, client.MatchingLabelsSelector{Selector: selector})
	tokens = slices.DeleteFunc(tokens, func(t v1alpha1.ApiToken) bool { return o.provider != "" && t.Spec.ProviderRef != ref })
	slices.SortFunc(tokens, func(a, b v1alpha1.ApiToken) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return tokens, err
}

// rotateMany rotates one ApiToken after the other. One that cannot be rotated is named,
// and the others are still rotated.
func rotateMany(ctx context.Context, s *session.Session, o rotateOptions) error {
	tokens, err := chosen(ctx, s, &o.many)
	if err != nil {
		return err
	}
	if len(tokens) == 0 {
		return exit.Errorf(exit.NotFound, "no ApiToken is chosen. To see all: %s", s.PluginCommand("", "list", "-A"))
	}
	var failures []string
	rotated := 0
	for i := range tokens {
		t := &tokens[i]
		if err := pause(ctx, s, i, &o.many); err != nil {
			return fmt.Errorf("%d of %d rotated: %w", rotated, len(tokens), err)
		}
		name := t.Namespace + "/" + t.Name
		s.Say("[%d/%d] %s", i+1, len(tokens), name)
		switch err := rotateOne(ctx, s, t, o); {
		case ctx.Err() != nil:
			return fmt.Errorf("%d of %d rotated; stopped at %s: %w", rotated, len(tokens), name, ctx.Err())
		case err != nil:
			failures = append(failures, name)
			s.Say("  failed: %s", s.Explain(err))
		default:
			rotated++
		}
		if len(failures) > 0 && o.many.stop {
			return exit.Failedf("%d of %d rotated; stopped at %s, which failed", rotated, len(tokens), name)
		}
	}
	if len(failures) > 0 {
		return exit.Failedf("%d of %d rotated; these failed: %s", rotated, len(tokens), strings.Join(failures, ", "))
	}
	if !o.many.dryRun {
		s.Say("%d of %d rotated", rotated, len(tokens))
	}
	return nil
}

// pause keeps the rate before the ApiToken of an index.
func pause(ctx context.Context, s *session.Session, index int, o *manyOptions) error {
	if index == 0 || o.rate == 0 || o.dryRun {
		return nil
	}
	return s.Clock.Sleep(ctx, time.Minute/time.Duration(o.rate))
}

func rotateOne(ctx context.Context, s *session.Session, t *v1alpha1.ApiToken, o rotateOptions) error {
	if o.many.dryRun {
		if err := rotatable(s.Hints, t); err != nil {
			return err
		}
		in := ""
		if o.many.everywhere {
			in = " in namespace " + t.Namespace
		}
		fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s%s would be rotated (generation %d)\n", t.Name, in, t.Spec.Rotation.Generation+1)
		return nil
	}
	one := *s
	one.Namespace = t.Namespace
	return rotate(ctx, &one, t.Name, o)
}
