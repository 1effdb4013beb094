package main

import (
	"context"
	"fmt"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
)

const (
	// overlap is short, to keep the demo short.
	overlap = 8 * time.Second
	// revocation is how late a revocation can be on a busy machine.
	revocation = 20 * time.Second
)

// raise applies the file of the token with another rotation generation, as a
// tool that follows Git does, and with the short overlap.
func (d *demo) raise(ctx context.Context, generation int64) error {
	t, err := find(d.samples, "ApiToken", writer)
	if err != nil {
		return err
	}
	if err := set(t, generation, "spec", "rotation", "generation"); err != nil {
		return err
	}
	if err := set(t, overlap.String(), "spec", "rotation", "overlap"); err != nil {
		return err
	}
	return d.cluster.apply(ctx, t)
}

// rotate replaces a credential while it is in use.
func (d *demo) rotate(ctx context.Context) error {
	d.out.heading("Rotate: spec.rotation.generation from 0 to 1, with an overlap of " + overlap.String() + " instead of 1h")
	older, err := d.workload(ctx, writerSecret)
	if err != nil {
		return err
	}
	var newer *workload
	var t *v1alpha1.ApiToken
	err = d.out.check(ctx, "the Secret gets a new key", func() (string, error) {
		if err := d.raise(ctx, 1); err != nil {
			return "", err
		}
		if t, _, err = d.token(ctx, writer, 1); err != nil {
			return "", err
		}
		if newer, err = d.workload(ctx, writerSecret); err == nil && newer.keyID == older.keyID {
			err = fmt.Errorf("it still has key %s", short(older.keyID))
		}
		return short(older.keyID) + " is now " + short(newerID(newer)), err
	})
	if err != nil {
		return err
	}
	err = d.out.check(ctx, "both keys work during the overlap: a pod has time to read the new one", func() (string, error) {
		for _, w := range []*workload{older, newer} {
			if err := w.reads(ctx, bucket, content); err != nil {
				return "", fmt.Errorf("key %s: %w", short(w.keyID), err)
			}
		}
		return "", nil
	})
	if err != nil {
		return err
	}
	d.out.say("status.credentials, the ledger:\n" + ledger(t))
	err = d.out.check(ctx, "the old key is rejected once its overlap has ended, and the new key works throughout", func() (string, error) {
		return d.overlapEnds(ctx, t, older, newer)
	})
	d.revoked = append(d.revoked, older)
	return err
}

func newerID(w *workload) string {
	if w == nil {
		return ""
	}
	return w.keyID
}

// overlapEnds uses both keys until the older one is rejected.
func (d *demo) overlapEnds(ctx context.Context, t *v1alpha1.ApiToken, older, newer *workload) (string, error) {
	retiring := inState(t, v1alpha1.StateRetiring)
	if retiring == nil || retiring.RetireAt == nil || retiring.ID != older.keyID {
		return "", fmt.Errorf("key %s is not retiring: the ledger is %s", short(older.keyID), ledger(t))
	}
	due, requests := retiring.RetireAt.Time, 0
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	var code string
	err := eventually(ctx, time.Until(due)+revocation, func() (err error) {
		requests += 2
		if err = newer.list(ctx, bucket); err != nil {
			giveUp(fmt.Errorf("the new key: %w", err))
			return err
		}
		code, err = refusal("a request with the old key", func() error { return older.list(ctx, bucket) })
		return err
	})
	if early := time.Until(due); err == nil && early > 0 {
		err = fmt.Errorf("it is rejected %s before the end of its overlap", early)
	}
	return fmt.Sprintf("%s, %.1fs after its end at %s; %d requests", code, time.Since(due).Seconds(), due.UTC().Format(time.TimeOnly), requests), err
}
