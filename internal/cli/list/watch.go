package list

import (
	"context"
	"io"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/output"
	"apitoken.dev/operator/internal/cli/session"
)

// follower is list --watch: it prints each ApiToken once, and again when it changes.
type follower struct {
	*session.Session
	o       listOptions
	options []client.ListOption
	// shown is the version of each ApiToken that was printed last.
	shown map[types.UID]string
	// table remembers the widths of the columns; heads: the names are printed.
	table io.Writer
	heads bool
}

// watchList prints until the context ends.
func watchList(ctx context.Context, s *session.Session, o listOptions, options ...client.ListOption) error {
	f := &follower{Session: s, o: o, options: options, shown: map[types.UID]string{}, table: printers.GetNewTabWriter(s.Out)}
	for {
		list := &v1alpha1.ApiTokenList{}
		if err := f.Client.List(ctx, list, options...); err != nil {
			return stoppedWatching(ctx, err)
		}
		if err := f.print(filter(list.Items, o, s.Clock.Now())...); err != nil {
			return err
		}
		if err := f.changes(ctx, list.ResourceVersion); err != nil {
			return stoppedWatching(ctx, err)
		}
		if err := s.Clock.Sleep(ctx, s.Poll); err != nil {
			return stoppedWatching(ctx, err)
		}
	}
}

// stoppedWatching ends a watch that the user interrupts. It is a success.
func stoppedWatching(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// changes prints what changes after a version, until the API server ends the watch.
func (f *follower) changes(ctx context.Context, version string) error {
	raw := &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: version}}
	w, err := f.Watcher.Watch(ctx, &v1alpha1.ApiTokenList{}, append(append([]client.ListOption{}, f.options...), raw)...)
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		t, ok := event.Object.(*v1alpha1.ApiToken)
		if !ok { // the version is too old: list again
			return nil
		}
		if event.Type == watch.Deleted {
			f.Say("ApiToken %s/%s is gone.", t.Namespace, t.Name)
			continue
		}
		if err := f.print(filter([]v1alpha1.ApiToken{*t}, f.o, f.Clock.Now())...); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (f *follower) print(tokens ...v1alpha1.ApiToken) error {
	var news []v1alpha1.ApiToken
	for i := range tokens {
		if t := &tokens[i]; f.shown[t.UID] != t.ResourceVersion {
			f.shown[t.UID] = t.ResourceVersion
			news = append(news, *t)
		}
	}
	if len(news) == 0 {
		return nil
	}
	format, human := f.o.out.ForPeople()
	if !human {
		for i := range news {
			news[i].SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ApiToken"))
			if err := f.o.out.Object(f.Out, &news[i]); err != nil {
				return err
			}
		}
		return nil
	}
	out := *f.o.out
	out.NoHeaders = out.NoHeaders || f.heads
	f.heads = true
	names, rows := rows(f.Session, news, f.o.all)
	return out.TableTo(f.table, format == output.FormatWide, output.Columns(names...), rows)
}
