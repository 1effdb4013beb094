package cli

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/reading"
	"apitoken.dev/operator/internal/plan"
)

// defaultTimeout is how long a command waits when nothing else is said.
const defaultTimeout = 5 * time.Minute

// waitFlags are the flags of a command that can wait.
type waitFlags struct {
	wait    bool
	timeout time.Duration
}

// addFlags adds --wait and --timeout.
func (f *waitFlags) addFlags(cmd *cobra.Command, wait bool, usage string) {
	cmd.Flags().BoolVar(&f.wait, "wait", wait, usage)
	cmd.Flags().DurationVar(&f.timeout, "timeout", defaultTimeout, "How long to wait; 0: without end. Exit code 3 when it is over.")
}

// check rejects a negative timeout.
func (f *waitFlags) check() error {
	if f.timeout < 0 {
		return usage("--timeout: %s cannot be negative: write for example 5m, or 0 to wait without end", f.timeout)
	}
	return nil
}

// waiting is one command that waits for one ApiToken.
type waiting struct {
	name    string
	uid     types.UID
	timeout time.Duration
	// done looks at the ApiToken, which is nil when it is gone. An error ends the wait.
	done func(context.Context, *v1alpha1.ApiToken) (bool, error)
	// about says what is waited for, for a person.
	about func(*v1alpha1.ApiToken) string
	last  string
	// deleting: the ApiToken was being deleted when it was last seen.
	deleting bool
}

// follow looks until it is done, and tells what changes.
func (s *session) follow(ctx context.Context, w *waiting) error {
	start := s.Clock.Monotonic()
	for {
		t, state, err := s.look(ctx, w)
		if err != nil {
			return err
		}
		if state != notRead {
			if done, err := w.done(ctx, t); done || err != nil {
				return err
			}
		}
		if w.timeout > 0 && s.Clock.Monotonic()-start >= w.timeout {
			return errorf(TimedOut, "not done after %s: %s. The operator continues without this command. To see how far it is: %s",
				plan.Short(w.timeout), strings.TrimRight(w.last, "."), s.pluginCommand(s.namespace, "status", w.name))
		}
		if err := s.Clock.Sleep(ctx, s.Poll); err != nil {
			return err
		}
	}
}

// seen is what one read of the ApiToken showed.
type seen int

const (
	notRead seen = iota // the read failed, and is repeated
	there
	gone
)

// look reads the ApiToken and reports what changed. The ApiToken is nil unless it is there.
func (s *session) look(ctx context.Context, w *waiting) (*v1alpha1.ApiToken, seen, error) {
	t := &v1alpha1.ApiToken{}
	r := reading.Object(t, s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: w.name}, t))
	state := reading.Match(r.Where(func(t *v1alpha1.ApiToken) bool { return t.UID == w.uid }),
		func(*v1alpha1.ApiToken) seen { return there }, func() seen { return gone }, func(error) seen { return notRead })
	err := r.Err()
	switch {
	case state == there:
		w.deleting = w.deleting || !t.DeletionTimestamp.IsZero()
		s.tell(w, w.about(t))
		return t, there, nil
	case state == gone:
		return nil, gone, nil
	case ctx.Err() != nil:
		return nil, notRead, ctx.Err()
	case reading.Forbidden(err), apierrors.IsUnauthorized(err):
		return nil, notRead, err
	case w.deleting && reading.Unserved(err) && s.unserved():
		return nil, gone, nil // the CRD goes after its last object
	default: // the API server restarts, or the network is down
		s.tell(w, "the API server does not answer: "+err.Error())
		return nil, notRead, nil
	}
}

// unserved reports whether the API server serves ApiTokens in no version, as after their
// CRD was deleted. It is false when that cannot be read.
func (s *session) unserved() bool {
	dc, err := discovery.NewDiscoveryClientForConfig(s.cfg)
	if err != nil {
		return false
	}
	groups, err := dc.ServerGroups()
	if err != nil {
		return false
	}
	for _, g := range groups.Groups {
		if g.Name != v1alpha1.GroupVersion.Group {
			continue
		}
		for _, v := range g.Versions {
			list, err := dc.ServerResourcesForGroupVersion(v.GroupVersion)
			if err != nil || slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == "apitokens" }) {
				return false
			}
		}
	}
	return true
}

func (s *session) tell(w *waiting, line string) {
	if line != "" && line != w.last {
		w.last = line
		s.say("%s  %s", s.Clock.Now().Local().Format(time.TimeOnly), line)
	}
}

// progress says how an ApiToken is doing, in one line.
func progress(t *v1alpha1.ApiToken) string {
	line := reasonOf(t)
	if m := messageOf(t); m != "" {
		line += ": " + m
	}
	return line
}

// stopped is the error of an ApiToken that nobody but a person can help; nil: it goes on.
func (h hints) stopped(t *v1alpha1.ApiToken) error {
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionStalled)
	if c == nil {
		// While the workload has a credential, a person is only reminded.
		c = meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
		if c == nil || c.Reason != v1alpha1.ReasonActionRequired && c.Reason != v1alpha1.ReasonHandoverRefused {
			return nil
		}
	}
	if c.ObservedGeneration != t.Generation {
		return nil
	}
	return errorf(stalledCode(c.Reason), "%s: %s\nWhat to do: %s", c.Reason, c.Message, h.whatToDo(t, c.Reason))
}

// refusals are the reasons that say no to what was declared or handed over.
var refusals = map[string]bool{
	v1alpha1.ReasonNamespaceNotAllowed: true, v1alpha1.ReasonScopeNotGrantable: true, v1alpha1.ReasonLifetimeTooLong: true,
	v1alpha1.ReasonTooManyBuckets: true, v1alpha1.ReasonBucketNotGrantable: true, v1alpha1.ReasonRestrictionUnsupported: true,
	v1alpha1.ReasonProviderRefused: true, v1alpha1.ReasonSecretNotOwned: true, v1alpha1.ReasonProviderShared: true,
	v1alpha1.ReasonHandoverRefused: true, v1alpha1.ReasonPublishRefused: true,
}

func stalledCode(reason string) Code {
	if refusals[reason] {
		return Refused
	}
	return Failed
}

// errGone says that the ApiToken was deleted meanwhile.
var errGone = errors.New("the ApiToken was deleted meanwhile")
