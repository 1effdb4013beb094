package cli

import (
	"context"
	"errors"
	"fmt"
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
)

// defaultTimeout is how long a command waits when nothing else is said.
const defaultTimeout = 5 * time.Minute

func timeoutFlag(cmd *cobra.Command, timeout *time.Duration) {
	cmd.Flags().DurationVar(timeout, "timeout", defaultTimeout, "How long to wait; 0: without end. Exit code 3 when it is over.")
}

// checkTimeout refuses what cannot be waited for.
func checkTimeout(timeout time.Duration) error {
	if timeout < 0 {
		return usage("--timeout: %s cannot be negative: write for example 5m, or 0 to wait without end", timeout)
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
		t, err := s.look(ctx, w)
		if err != nil {
			return err
		}
		if t == nil || t.UID != "" {
			if done, err := w.done(ctx, t); done || err != nil {
				return err
			}
		}
		if w.timeout > 0 && s.Clock.Monotonic()-start >= w.timeout {
			return &exitError{TimedOut, fmt.Errorf("not done after %s: %s. The operator continues without this command. To see how far it is: %s",
				compact(w.timeout), strings.TrimRight(w.last, "."), s.pluginCommand(s.namespace, "status", w.name))}
		}
		if err := s.Clock.Sleep(ctx, s.Poll); err != nil {
			return err
		}
	}
}

// unread stands for an ApiToken that could not be read this time.
var unread = &v1alpha1.ApiToken{}

// look reads the ApiToken and tells what is new about it. It returns nil when that
// ApiToken is gone.
func (s *session) look(ctx context.Context, w *waiting) (*v1alpha1.ApiToken, error) {
	t := &v1alpha1.ApiToken{}
	r := reading.Object(t, s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: w.name}, t))
	var here *v1alpha1.ApiToken // nil: that ApiToken is gone
	r.Where(func(t *v1alpha1.ApiToken) bool { return t.UID == w.uid }).Switch(
		func(t *v1alpha1.ApiToken) { here = t }, func() {}, func(error) { here = unread })
	switch err := r.Err(); {
	case err == nil && here == nil:
		return nil, nil
	case err == nil:
		w.deleting = w.deleting || !here.DeletionTimestamp.IsZero()
		s.tell(w, w.about(here))
		return here, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case reading.Forbidden(err), apierrors.IsUnauthorized(err):
		return nil, err
	case w.deleting && reading.Unserved(err) && s.unserved():
		return nil, nil // the CRD goes after its last object
	default: // an API server that restarts, a network that is away: it comes back
		s.tell(w, "the API server does not answer: "+err.Error())
		return unread, nil
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
func (a *app) stopped(t *v1alpha1.ApiToken) error {
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
	return &exitError{stalledCode(c.Reason), fmt.Errorf("%s: %s\nWhat to do: %s", c.Reason, c.Message, a.whatToDo(t, c.Reason))}
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
