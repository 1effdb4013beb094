package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/e2e/gateway"
)

// declare applies config/samples and waits until everything is ready.
func (d *demo) declare(ctx context.Context) error {
	d.out.heading("Declare: kubectl apply -k config/samples")
	if err := d.applySamples(ctx); err != nil {
		return err
	}
	err := d.out.check(ctx, "an invalid ApiToken is rejected at once, and the error names the field", func() (string, error) { return d.refused(ctx) })
	if err != nil {
		return err
	}
	err = d.out.check(ctx, "clustertokenprovider/"+providerName+" is Ready: its keys work (checked without minting)", func() (string, error) {
		p := &v1alpha1.ClusterTokenProvider{}
		err := eventually(ctx, patience, func() error {
			if err := d.cluster.Get(ctx, client.ObjectKey{Name: providerName}, p); err != nil {
				return err
			}
			return isReady(providerName, p.Status.Conditions, p.Status.ObservedGeneration, p.Generation)
		})
		return "account " + p.Status.Account, err
	})
	if err != nil {
		return err
	}
	for _, name := range []string{writer, reader} {
		err = d.out.check(ctx, "apitoken/"+name+" is Ready: its credential is live and in its Secret", func() (string, error) {
			return d.firstCredential(ctx, name)
		})
		if err != nil {
			return err
		}
	}
	return d.show(ctx, "kubectl -n "+team+" get apitokens", "/apis/apitoken.dev/v1alpha1/namespaces/"+team+"/apitokens")
}

// applySamples applies the sample files, changing only their endpoints and region.
func (d *demo) applySamples(ctx context.Context) error {
	d.out.say("with the endpoints of the servers above in place of example.com")
	return d.out.check(ctx, "the API server accepts the files of config/samples", func() (string, error) {
		samples, err := resources(filepath.Join(d.root, "config/samples"))
		if err != nil {
			return "", err
		}
		p, err := find(samples, "ClusterTokenProvider", providerName)
		if err != nil {
			return "", err
		}
		err = errors.Join(
			set(p, d.gateway.IAMEndpoint, "spec", "aws", "iamEndpoint"),
			set(p, d.gateway.S3Endpoint, "spec", "aws", "s3Endpoint"),
			set(p, gateway.Region, "spec", "aws", "region"),
		)
		if err != nil {
			return "", err
		}
		d.samples = samples
		return fmt.Sprintf("%d objects", len(samples)), d.cluster.apply(ctx, samples...)
	})
}

// refused declares a token without buckets.
func (d *demo) refused(ctx context.Context) (string, error) {
	t, err := find(d.samples, "ApiToken", reader)
	if err != nil {
		return "", err
	}
	t = t.DeepCopy()
	t.SetName("wrong")
	if err := set(t, []any{}, "spec", "buckets"); err != nil {
		return "", err
	}
	err = d.cluster.Create(ctx, t)
	var status interface{ Status() metav1.Status }
	if !errors.As(err, &status) || status.Status().Reason != metav1.StatusReasonInvalid {
		return "", fmt.Errorf("the API server does not answer Invalid to an ApiToken without buckets: %w", err)
	}
	for _, cause := range status.Status().Details.Causes {
		if cause.Field == "spec.buckets" {
			return cause.Field + " is empty", nil
		}
	}
	return "", fmt.Errorf("the answer does not name spec.buckets: %w", err)
}

// firstCredential waits for a token and compares ledger, Secret and provider.
func (d *demo) firstCredential(ctx context.Context, name string) (string, error) {
	t, active, err := d.token(ctx, name, 0)
	if err != nil {
		return "", err
	}
	w, err := d.workload(ctx, t.SecretName())
	if err != nil {
		return "", err
	}
	users, err := d.held(ctx)
	switch {
	case err != nil:
		return "", err
	case len(t.Status.Credentials) != 1 || active.ID != w.keyID:
		return "", fmt.Errorf("the Secret has key %s, the ledger is %s", short(w.keyID), ledger(t))
	case users[active.Name] != 1:
		return "", fmt.Errorf("user %s has %d keys", active.Name, users[active.Name])
	case active.ExpiresAt == nil || active.ExpiresAt.Before(&metav1.Time{Time: time.Now().Add(89 * 24 * time.Hour)}):
		return "", fmt.Errorf("it is not valid for 90 days: it expires at %v", active.ExpiresAt)
	}
	return "key " + short(w.keyID) + " of user " + active.Name, nil
}

// show prints a command and its output.
func (d *demo) show(ctx context.Context, command, path string) error {
	table, err := d.cluster.table(ctx, path)
	if err != nil {
		return &failure{claim: command + " prints a table", seen: err}
	}
	d.out.say("$ " + command + "\n" + table)
	return nil
}
