// Package wait polls an ApiToken until the operator has done what a command asked for, and
// reports progress.
package wait

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
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/reading"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/cli/tokenstate"
	"apitoken.dev/operator/internal/plan"
)

// defaultTimeout is how long a command waits when nothing else is said.
const defaultTimeout = 5 * time.Minute

// Flags are the flags of a command that can wait.
type Flags struct {
	Wait    bool
	Timeout time.Duration
}

// AddFlags adds --wait and --timeout.
func (f *Flags) AddFlags(cmd *cobra.Command, wait bool, usage string) {
	cmd.Flags().BoolVar(&f.Wait, "wait", wait, usage)
	cmd.Flags().DurationVar(&f.Timeout, "timeout", defaultTimeout, "How long to wait; 0 means forever. The exit code is 3 on a timeout.")
}

// Check rejects a negative timeout.
func (f *Flags) Check() error {
	if f.Timeout < 0 {
		return exit.Usagef("--timeout: %s cannot be negative: write for example 5m, or 0 to wait forever", f.Timeout)
	}
	return nil
}

// Target is one command that waits for one ApiToken.
type Target struct {
	Name    string
	UID     types.UID
	Timeout time.Duration
	// Done looks at the ApiToken, which is nil when it is gone. An error ends the wait.
	Done func(context.Context, *v1alpha1.ApiToken) (bool, error)
	// About describes the progress for the user.
	About func(*v1alpha1.ApiToken) string
	last  string
	// Deleting: the ApiToken was being deleted when it was last seen.
	Deleting bool
}

// Until looks until it is done, and tells what changes.
func Until(ctx context.Context, s *session.Session, w *Target) error {
	start := s.Clock.Monotonic()
	for {
		t, state, err := look(ctx, s, w)
		if err != nil {
			return err
		}
		if state != notRead {
			if done, err := w.Done(ctx, t); done || err != nil {
				return err
			}
		}
		if w.Timeout > 0 && s.Clock.Monotonic()-start >= w.Timeout {
			return exit.Errorf(exit.TimedOut, "timed out after %s: %s. The operator continues in the background. To see progress: %s",
				plan.Short(w.Timeout), strings.TrimRight(w.last, "."), s.PluginCommand(s.Namespace, "status", w.Name))
		}
		if err := s.Clock.Sleep(ctx, s.Poll); err != nil {
			return err
		}
	}
}

// seen is the result of one read of the ApiToken.
type seen int

const (
	notRead seen = iota // the read failed, and is repeated
	there
	gone
)

// look reads the ApiToken and reports what changed. The ApiToken is nil unless it is there.
func look(ctx context.Context, s *session.Session, w *Target) (*v1alpha1.ApiToken, seen, error) {
	t := &v1alpha1.ApiToken{}
	r := reading.Object(t, s.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: w.Name}, t))
	state := reading.Match(r.Where(func(t *v1alpha1.ApiToken) bool { return t.UID == w.UID }),
		func(*v1alpha1.ApiToken) seen { return there }, func() seen { return gone }, func(error) seen { return notRead })
	err := r.Err()
	switch {
	case state == there:
		w.Deleting = w.Deleting || !t.DeletionTimestamp.IsZero()
		tell(s, w, w.About(t))
		return t, there, nil
	case state == gone:
		return nil, gone, nil
	case ctx.Err() != nil:
		return nil, notRead, ctx.Err()
	case reading.Forbidden(err), apierrors.IsUnauthorized(err):
		return nil, notRead, err
	case w.Deleting && reading.Unserved(err) && unserved(s):
		return nil, gone, nil // the CRD goes after its last object
	default: // the API server restarts, or the network is down
		tell(s, w, "the API server does not answer: "+err.Error())
		return nil, notRead, nil
	}
}

// unserved reports whether the API server serves ApiTokens in no version, as after their
// CRD was deleted. It is false when that cannot be read.
func unserved(s *session.Session) bool {
	dc, err := discovery.NewDiscoveryClientForConfig(s.RESTConfig)
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

func tell(s *session.Session, w *Target, line string) {
	if line != "" && line != w.last {
		w.last = line
		s.Say("%s  %s", s.Clock.Now().Local().Format(time.TimeOnly), line)
	}
}

// Progress says how an ApiToken is doing, in one line.
func Progress(t *v1alpha1.ApiToken) string {
	line := tokenstate.Reason(t)
	if m := tokenstate.Message(t); m != "" {
		line += ": " + m
	}
	return line
}

// Stopped returns an error if the operator waits for a user; nil: it continues by itself.
func Stopped(h hint.Hints, t *v1alpha1.ApiToken) error {
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionStalled)
	if c == nil {
		// While the workload has a credential, the user is only reminded.
		c = meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
		if c == nil || c.Reason != v1alpha1.ReasonActionRequired && c.Reason != v1alpha1.ReasonHandoverRefused {
			return nil
		}
	}
	if c.ObservedGeneration != t.Generation {
		return nil
	}
	return exit.Errorf(stalledCode(c.Reason), "%s: %s\nWhat to do: %s", c.Reason, c.Message, h.WhatToDo(t, c.Reason))
}

func stalledCode(reason string) exit.Code {
	if tokenstate.Rejects[reason] {
		return exit.Refused
	}
	return exit.Failed
}

// ErrGone says that the ApiToken was deleted in the meantime.
var ErrGone = errors.New("the ApiToken was deleted in the meantime")
