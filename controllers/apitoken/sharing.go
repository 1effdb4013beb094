package apitoken

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/plan"
)

func nameOf(t *v1alpha1.ApiToken) types.NamespacedName {
	return types.NamespacedName{Namespace: t.Namespace, Name: t.Name}
}

// knowsAccount returns Superseded if a pass began without knowing which account
// it is about, or who else has it. The next pass knows more.
func (r *Reconciler) knowsAccount(ctx context.Context, p *pass, conn connections.Connection) plan.Outcome {
	if conn.AccountKey != p.facts.AccountKey {
		return plan.Superseded{What: "the account was not known yet"}
	}
	_, settled, err := r.Providers.Sharing(ctx, p.key)
	if err != nil {
		return failed(fmt.Errorf("reading the providers of an account: %w", err))
	}
	if !settled {
		return plan.Superseded{What: "another provider of the same server may have the account"}
	}
	return nil
}
