package cli

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

func (o *manyOptions) chooses() bool { return o.selector != "" || o.provider != "" || o.all }

// check refuses command lines that name one and choose many, or neither.
func (o *manyOptions) check(args []string) error {
	switch {
	case o.chooses() == (len(args) == 1), len(args) > 1:
		return usage("rotate NAME: name one ApiToken, or choose several with -l, --provider or --all: got %d arguments", len(args))
	case len(args) == 1 && (o.everywhere || o.dryRun || o.stop):
		return usage("-A, --dry-run and --stop-on-failure need -l, --provider or --all")
	case o.all && (o.selector != "" || o.provider != ""):
		return usage("--all rotates every ApiToken: leave it out, or -l and --provider")
	case o.rate < 0:
		return usage("--rate: %d cannot be negative: write for example 10, or 0 for no pause", o.rate)
	}
	_, err := providerFlag(o.provider)
	return err
}

// providerFlag reads KIND/NAME; the zero value when it is empty.
func providerFlag(asked string) (v1alpha1.ProviderReference, error) {
	if asked == "" {
		return v1alpha1.ProviderReference{}, nil
	}
	kind, name, ok := strings.Cut(asked, "/")
	ref := v1alpha1.ProviderReference{Kind: v1alpha1.ProviderKind(kind), Name: name}
	if !ok || name == "" || ref.Kind != v1alpha1.KindTokenProvider && ref.Kind != v1alpha1.KindClusterTokenProvider {
		return ref, usage("--provider: %q: write TokenProvider/NAME or ClusterTokenProvider/NAME", asked)
	}
	return ref, nil
}

// chosen lists the ApiTokens that the flags choose, by namespace and name.
func (s *session) chosen(ctx context.Context, o *manyOptions) ([]v1alpha1.ApiToken, error) {
	selector, err := labels.Parse(o.selector)
	if err != nil {
		return nil, usage("-l: %w", err)
	}
	ref, err := providerFlag(o.provider)
	if err != nil {
		return nil, err
	}
	namespace := s.namespace
	if o.everywhere {
		namespace = ""
	}
	tokens, err := s.tokens(ctx, namespace, client.MatchingLabelsSelector{Selector: selector})
	tokens = slices.DeleteFunc(tokens, func(t v1alpha1.ApiToken) bool { return o.provider != "" && t.Spec.ProviderRef != ref })
	slices.SortFunc(tokens, func(a, b v1alpha1.ApiToken) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return tokens, err
}

// rotateMany rotates one ApiToken after the other. One that cannot be rotated is named,
// and the others are still rotated.
func (s *session) rotateMany(ctx context.Context, o rotateOptions) error {
	tokens, err := s.chosen(ctx, &o.many)
	if err != nil {
		return err
	}
	if len(tokens) == 0 {
		return errorf(NotFound, "no ApiToken is chosen. To see all: %s", s.pluginCommand("", "list", "-A"))
	}
	var failures []string
	rotated := 0
	for i := range tokens {
		t := &tokens[i]
		if err := s.pause(ctx, i, &o.many); err != nil {
			return fmt.Errorf("%d of %d rotated: %w", rotated, len(tokens), err)
		}
		name := t.Namespace + "/" + t.Name
		s.say("[%d/%d] %s", i+1, len(tokens), name)
		switch err := s.rotateOne(ctx, t, o); {
		case ctx.Err() != nil:
			return fmt.Errorf("%d of %d rotated; stopped at %s: %w", rotated, len(tokens), name, ctx.Err())
		case err != nil:
			failures = append(failures, name)
			s.say("  failed: %s", s.explain(err))
		default:
			rotated++
		}
		if len(failures) > 0 && o.many.stop {
			return failed("%d of %d rotated; stopped at %s, which failed", rotated, len(tokens), name)
		}
	}
	if len(failures) > 0 {
		return failed("%d of %d rotated; these failed: %s", rotated, len(tokens), strings.Join(failures, ", "))
	}
	if !o.many.dryRun {
		s.say("%d of %d rotated", rotated, len(tokens))
	}
	return nil
}

// pause keeps the rate before the ApiToken of an index.
func (s *session) pause(ctx context.Context, index int, o *manyOptions) error {
	if index == 0 || o.rate == 0 || o.dryRun {
		return nil
	}
	return s.Clock.Sleep(ctx, time.Minute/time.Duration(o.rate))
}

func (s *session) rotateOne(ctx context.Context, t *v1alpha1.ApiToken, o rotateOptions) error {
	if o.many.dryRun {
		if err := s.rotatable(t); err != nil {
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
	one.namespace = t.Namespace
	return one.rotate(ctx, t.Name, o)
}
