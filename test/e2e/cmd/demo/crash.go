package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

const (
	// killWithin limits the random time between the reservation and the kill; the
	// rest of a mint takes about this long.
	killWithin = 25 * time.Millisecond
	// settling is longer than an interrupted attempt takes to settle.
	settling = 4 * time.Minute
)

// crashed kills the operator in the middle of a mint and starts it again.
func (d *demo) crashed(ctx context.Context) error {
	d.out.heading("Crash: spec.rotation.generation to 2, and kill -9 of the operator while it mints")
	before, err := d.workload(ctx, writerSecret)
	if err != nil {
		return err
	}
	for _, c := range []step{
		{"the operator is killed at a random moment of the mint", func() (string, error) { return d.killWhileMinting(ctx) }},
		{"the key in the Secret works without the operator", func() (string, error) {
			now, err := d.workload(ctx, writerSecret)
			if err != nil {
				return "", err
			}
			return short(now.keyID), now.reads(ctx, bucket, content)
		}},
		{"the ledgers name every user at the provider", func() (string, error) { return d.allKnown(ctx) }},
		{"the operator starts again", func() (string, error) {
			p, err := d.operator.start(ctx)
			if err == nil {
				d.running = p
			}
			return "", err
		}},
		{"the ApiToken recovers: the Secret has a new key that works", func() (string, error) { return d.healed(ctx, before) }},
		{"the ledgers still name every user at the provider", func() (string, error) { return d.allKnown(ctx) }},
	} {
		if err := d.out.check(ctx, c.claim, c.verify); err != nil {
			return err
		}
	}
	return d.settled(ctx)
}

// killWhileMinting raises the generation and kills the operator at a random
// moment after the reservation is in the ledger.
func (d *demo) killWhileMinting(ctx context.Context) (string, error) {
	if err := d.raise(ctx, 2); err != nil {
		return "", err
	}
	t := &v1alpha1.ApiToken{}
	key := client.ObjectKey{Namespace: team, Name: writer}
	for began := time.Now(); inState(t, v1alpha1.StateMinting) == nil; {
		if err := d.cluster.Get(ctx, key, t); err != nil {
			return "", err
		}
		if time.Since(began) > patience {
			return "", errors.New("nothing was reserved")
		}
	}
	moment := rand.N(killWithin) //nolint:gosec // G404: any moment will do
	time.Sleep(moment)
	d.running.kill()
	if err := d.cluster.Get(ctx, key, t); err != nil {
		return "", err
	}
	users, err := d.held(ctx)
	if err != nil {
		return "", err
	}
	e := inState(t, v1alpha1.StateMinting)
	if e == nil {
		return fmt.Sprintf("%s after the reservation, when the new key was already recorded", moment.Round(time.Millisecond)), nil
	}
	keys, made := users[e.Name]
	return fmt.Sprintf("%s after it reserved %s; the user exists: %t, with %d keys", moment.Round(time.Millisecond), e.Name, made, keys), nil
}

// healed waits for the credential of the third rotation generation. The restarted
// operator first waits until the lease of the killed process expires.
func (d *demo) healed(ctx context.Context, before *workload) (string, error) {
	_, active, err := d.token(ctx, writer, 2)
	if err != nil {
		return "", err
	}
	now, err := d.workload(ctx, writerSecret)
	if err != nil {
		return "", err
	}
	if now.keyID == before.keyID || now.keyID != active.ID {
		return "", fmt.Errorf("the Secret has key %s, the active one is %s", short(now.keyID), short(active.ID))
	}
	return short(now.keyID), now.reads(ctx, bucket, content)
}

// settled waits until only the active credential is left.
func (d *demo) settled(ctx context.Context) error {
	t := &v1alpha1.ApiToken{}
	if err := d.cluster.Get(ctx, client.ObjectKey{Namespace: team, Name: writer}, t); err != nil {
		return err
	}
	if inState(t, v1alpha1.StateAbandoned) != nil {
		d.out.say("The interrupted attempt is Abandoned. Its request can still arrive at the provider, so its\n" +
			"name is revoked once the attempt has settled, about two minutes after the restart:\n" + ledger(t))
	}
	return d.out.check(ctx, "the abandoned attempt is revoked, and only the Active credential remains", func() (string, error) {
		err := eventually(ctx, settling, func() error {
			if err := d.cluster.Get(ctx, client.ObjectKeyFromObject(t), t); err != nil {
				return err
			}
			if len(t.Status.Credentials) != 1 {
				return fmt.Errorf("the ledger is\n%s", ledger(t))
			}
			return nil
		})
		if err != nil {
			return "", err
		}
		users, err := d.held(ctx)
		if err == nil && len(users) != 2 { // of this token and of the other
			err = fmt.Errorf("the provider has %v", users)
		}
		return "key " + short(t.Status.Credentials[0].ID), err
	})
}
