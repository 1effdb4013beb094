package cli

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

// listOptions are the flags of list.
type listOptions struct {
	all, notReady bool
	watch         bool
	expiring      time.Duration
	selector      string
	out           *output
}

func (a *app) listCommand() *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List ApiTokens, all of them or those that need attention",
		Example: "  # what ends within a month, in every namespace\n  kubectl apitoken list -A --expiring-within 720h\n\n" +
			"  # what does not work\n  kubectl apitoken list -A --not-ready",
		Args:              positional(0, "list takes flags only"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.run(func(ctx context.Context, s *session, _ []string) error {
			return s.list(ctx, o)
		}, o.check),
	}
	f := cmd.Flags()
	f.BoolVarP(&o.all, "all-namespaces", "A", false, "List the ApiTokens of all namespaces.")
	f.BoolVar(&o.notReady, "not-ready", false, "Only those that are not ready.")
	f.BoolVarP(&o.watch, "watch", "w", false, "After the list, print each ApiToken again when it changes, until you stop it.")
	f.DurationVar(&o.expiring, "expiring-within", 0, "Only those whose published credential ends within this time, or has ended, the first to end first; for example 720h.")
	f.StringVarP(&o.selector, "selector", "l", "", "Label selector, as with kubectl get.")
	o.out = newOutput(cmd, scheme(), formatTable, formatWide)
	o.out.headers(cmd)
	return cmd
}

func (o *listOptions) check() error {
	if o.expiring < 0 {
		return usage("--expiring-within: %s cannot be negative: write for example 720h for 30 days", o.expiring)
	}
	return o.out.check()
}

func (s *session) list(ctx context.Context, o listOptions) error {
	selector, err := labels.Parse(o.selector)
	if err != nil {
		return usage("-l: %w", err)
	}
	namespace := s.namespace
	if o.all {
		namespace = ""
	}
	if o.watch {
		return s.watchList(ctx, o, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: selector})
	}
	tokens, err := s.tokens(ctx, namespace, client.MatchingLabelsSelector{Selector: selector})
	if err != nil {
		return err
	}
	tokens = filter(tokens, o, s.Clock.Now())
	format, human := o.out.forPeople()
	if !human {
		list := &v1alpha1.ApiTokenList{Items: tokens}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ApiTokenList"))
		for i := range list.Items {
			list.Items[i].SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ApiToken"))
		}
		return o.out.list(s.Out, list)
	}
	if len(tokens) == 0 {
		s.sayNothingFound(o)
		return nil
	}
	s.warnOperatorGone(ctx)
	return s.printList(tokens, o, format == formatWide)
}

func filter(tokens []v1alpha1.ApiToken, o listOptions, now time.Time) []v1alpha1.ApiToken {
	out := slices.DeleteFunc(tokens, func(t v1alpha1.ApiToken) bool {
		end := t.Status.ExpiresAt
		return o.notReady && ready(&t) || o.expiring > 0 && (end == nil || end.After(now.Add(o.expiring)))
	})
	slices.SortFunc(out, func(a, b v1alpha1.ApiToken) int {
		first := 0
		if o.expiring > 0 {
			first = a.Status.ExpiresAt.Compare(b.Status.ExpiresAt.Time)
		}
		return cmp.Or(first, cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out
}

func (s *session) sayNothingFound(o listOptions) {
	where := "namespace " + s.namespace
	if o.all {
		where = "any namespace"
	}
	switch {
	case o.expiring > 0:
		s.say("No ApiToken in %s ends within %s.", where, plan.Short(o.expiring))
	case o.notReady:
		s.say("Every ApiToken in %s is ready.", where)
	default:
		s.say("There are no ApiTokens in %s.", where)
	}
}

func (s *session) printList(tokens []v1alpha1.ApiToken, o listOptions, wide bool) error {
	names, rows := s.rows(tokens, o.all)
	return o.out.table(s.Out, wide, columns(names...), rows)
}

// rows are the columns of a list and its lines.
func (s *session) rows(tokens []v1alpha1.ApiToken, namespaces bool) (names []string, rows [][]any) {
	names = []string{"Name", "Ready", "Status", "Provider", "Access", "Expires", "Rotates", "Secret", "+Key ID", "+Live"}
	if namespaces {
		names = append([]string{"Namespace"}, names...)
	}
	now := s.Clock.Now()
	rows = make([][]any, 0, len(tokens))
	for i := range tokens {
		t := &tokens[i]
		key := none
		if e := activeOf(t); e != nil {
			key = keyOf(e)
		}
		row := []any{
			t.Name, readyWord(t), reasonOf(t), t.Spec.ProviderRef.Name, join(t.Spec.Scopes), until(t.Status.ExpiresAt, now),
			until(rotatesAt(t), now), t.SecretName(), key, len(t.Status.Credentials),
		}
		if namespaces {
			row = append([]any{t.Namespace}, row...)
		}
		rows = append(rows, row)
	}
	return names, rows
}

// rotatesAt is when the published credential is replaced; nil while the ApiToken is
// deleted, also where the operator has not written its status since.
func rotatesAt(t *v1alpha1.ApiToken) *metav1.Time {
	if !t.DeletionTimestamp.IsZero() {
		return nil
	}
	return t.Status.RotatesAt
}

// ready reports whether the Secret holds a live credential for this generation.
func ready(t *v1alpha1.ApiToken) bool {
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == t.Generation && t.DeletionTimestamp.IsZero()
}

func readyWord(t *v1alpha1.ApiToken) string {
	if ready(t) {
		return string(metav1.ConditionTrue)
	}
	if c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady); c == nil || c.ObservedGeneration != t.Generation {
		return string(metav1.ConditionUnknown)
	}
	return string(metav1.ConditionFalse)
}

// notObserved is the reason while the operator has not looked at this generation.
const notObserved = "NotObserved"

func reasonOf(t *v1alpha1.ApiToken) string {
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case !t.DeletionTimestamp.IsZero():
		return v1alpha1.ReasonDeleting
	case c == nil || c.ObservedGeneration != t.Generation:
		return notObserved
	default:
		return c.Reason
	}
}
