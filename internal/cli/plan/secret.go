package plan

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/reading"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/cli/tokenstate"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// publishedMeta is the metadata of a Secret: found, absent, or that the user may not read it.
type publishedMeta = reading.Of[*metav1.PartialObjectMetadata]

// secretMeta reads the metadata of a Secret. One that the user may not read is noted.
func (p *planner) secretMeta(ctx context.Context, token *v1alpha1.ApiToken, name string, out *planned) (publishedMeta, error) {
	r := p.Metadata(ctx, corev1.SchemeGroupVersion.WithKind("Secret"), client.ObjectKey{Namespace: token.Namespace, Name: name})
	if err := r.Err(); err != nil && !reading.Forbidden(err) {
		return r, err
	} else if err != nil {
		out.Notes = append(out.Notes, fmt.Sprintf("assumed: Secret %s is as the operator left it: could not read it, because %s",
			name, hint.Unreadable(session.SecretAccess(token), err)))
	}
	return r, nil
}

// metaOf is the metadata that was read; nil: none.
func metaOf(r publishedMeta) *metav1.ObjectMeta {
	return reading.Match(r, func(m *metav1.PartialObjectMetadata) *metav1.ObjectMeta { return &m.ObjectMeta },
		func() *metav1.ObjectMeta { return nil }, func(error) *metav1.ObjectMeta { return nil })
}

// leftSecret notes a Secret that keeps its keys when spec.secret.name changes. The API
// server rejects the change while a credential is listed, so the Secret is out of date.
func (p *planner) leftSecret(ctx context.Context, before, token *v1alpha1.ApiToken, out *planned) error {
	name := before.SecretName()
	if before.Name == "" || name == token.SecretName() {
		return nil
	}
	r, err := p.secretMeta(ctx, token, name, out)
	r.Where(func(m *metav1.PartialObjectMetadata) bool {
		return m.Annotations[v1alpha1.AnnotationToken] == token.Name
	}).Switch(
		func(*metav1.PartialObjectMetadata) {
			out.Notes = append(out.Notes, fmt.Sprintf("Secret %s is no longer updated, and its keys are not replaced when they end: move its readers to Secret %s, then delete it",
				name, token.SecretName()))
		}, func() {}, func(error) {})
	return err
}

// removedKeys finds what the published Secret loses next to its credential.
func (p *planner) removedKeys(ctx context.Context, before *v1alpha1.ApiToken, sit *situation, out *planned) error {
	if tokenstate.Active(before) == nil || sit.facts.Driver == nil || out.Outcome == outcomeRefused || out.Outcome == outcomeEnds {
		return nil
	}
	facts := sit.facts
	if _, changes := p.fromFile[account.KeyFor(before)]; changes {
		var err error
		if facts, err = p.Facts(ctx, p.Client, before, sit.cluster); err != nil {
			return err
		}
	}
	was := situation{facts: facts, request: provider.MintRequest{Grant: plan.GrantOf(&before.Spec)}}
	after := sit.connection()
	for key, value := range was.connection() {
		if _, stays := after[key]; !stays {
			if out.RemovedKeys == nil {
				out.RemovedKeys = map[string]string{}
			}
			out.RemovedKeys[key] = value
		}
	}
	return nil
}

func (sit *situation) connection() map[string]string {
	if c, ok := provider.As[provider.Connector](sit.facts.Driver); ok {
		return c.Connection(sit.facts.Config, sit.request.Grant)
	}
	return nil
}
