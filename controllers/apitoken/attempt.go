package apitoken

import (
	"context"
	"errors"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/apierror"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/audit/why"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// Standard returns the steps of an attempt in the order that loses no credential, even if
// the process stops between any two of them: the name is in the ledger before the credential
// can exist, the credential is in the Secret before its entry is Active, and neither Mint
// nor Publish starts after the deadline.
func Standard() []Step {
	return []Step{
		(*Attempt).Reserve,
		(*Attempt).InTime, (*Attempt).Mint,
		(*Attempt).Usable, (*Attempt).Try,
		(*Attempt).InTime, (*Attempt).Publish,
		(*Attempt).Record,
	}
}

// issueNothing is the only step of a Reconciler with EndsOnly: nothing is reserved or
// minted, for any decision.
func (*Attempt) issueNothing(context.Context) plan.Outcome { return plan.Failed{Err: errEndsOnly} }

var errEndsOnly = errors.New("this process only revokes credentials and issues nothing")

// issue runs one attempt. Cancelling the context, as a graceful stop does, does not
// interrupt it: it finishes within its deadline.
func (r *Reconciler) issue(ctx context.Context, p *reconciliation, action plan.Issue) plan.Outcome {
	if action.Reason == plan.IssueSecretLost {
		// The Secret can be gone because its namespace is being deleted, which the cache may
		// not show yet.
		if ending, err := observe.NamespaceEnding(ctx, r.Live, p.token.Namespace); err != nil || ending {
			return plan.Superseded{What: "the namespace is being deleted"}
		}
	}
	conn, out := r.connectToMint(ctx, p)
	if out != nil {
		return out
	}
	if e := p.inUse(); e != nil && e.Updating != "" {
		p.found(audit.FoundUpdateUnknown, e.Name, e.ID, why.Issued(string(action.Reason)))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), MintDeadline+RequestTimeout)
	defer cancel()
	a := &Attempt{r: r, p: p, action: action, conn: conn, began: r.Clock.Now(), beganMonotonic: r.Clock.Monotonic()}
	if out := r.strategyFor(p).prepare(ctx, a); out != nil {
		return out
	}
	for _, step := range r.Steps {
		if out := step(a, ctx); out != nil {
			return out
		}
	}
	return nil
}

// Name returns the name of the credential.
func (a *Attempt) Name() string { return a.name }

// Revision returns the revision of the credential.
func (a *Attempt) Revision() int64 { return a.action.Revision }

// Recorded returns the last revision that the ledger has recorded.
func (a *Attempt) Recorded() int64 { return a.p.token.Status.Revision }

// Client returns the client of the provider that mints the credential.
func (a *Attempt) Client() provider.Client { return a.conn.Client }

// Reserve writes the name to the ledger, unless the ApiToken changed since it was read. The
// same write charges the mint budget and sets the backoff, so that attempts which crash are
// rate-limited too.
func (a *Attempt) Reserve(ctx context.Context) plan.Outcome {
	if out := a.Prepare(); out != nil {
		return out
	}
	reserved := a.p.entry(a.name)
	a.r.memory.Attempts.Begin(nameOf(a.p.token), reserved)
	if err := a.r.save(ctx, a.p, plan.UnderWay(reserved), nil); err != nil {
		ledger.Replace(&a.p.token.Status, a.p.base)
		return apierror.ReserveFailed(err)
	}
	a.r.memory.Reservations.Reserved(a.conn.AccountKey)
	return nil
}

// Prepare adds the reservation to the status of this reconcile, without writing it.
func (a *Attempt) Prepare() plan.Outcome {
	p, status := a.p, &a.p.token.Status
	t := p.token
	name, err := credname.New(a.r.Cluster, credname.Owner(t.Namespace, t.Name), a.action.Revision, p.facts.Capabilities.MaxName, a.r.Random)
	if err != nil {
		return apierror.Failed(err)
	}
	a.name = name.String()
	reserved := a.began.UTC().Truncate(time.Second)
	a.recorded = status.Revision
	ledger.Reserve(status, ledger.Reservation{
		Name: a.name, Revision: a.action.Revision, Account: a.conn.Account.ID, Reason: string(a.action.Reason),
		At: reserved, ExpiresAt: plan.ExpiryFor(&t.Spec, reserved, p.facts.Capabilities.MaxLifetime),
		Fingerprint: plan.Fingerprint(&t.Spec), Fixed: plan.Fixed(&t.Spec, p.facts.Capabilities.Updates),
		RotationGeneration: t.Spec.Rotation.Generation, ByHand: a.r.strategyFor(p).isManual(),
	})
	if a.action.Charged {
		ledger.Charge(status, p.obs.Now)
	}
	backOff(p)
	return nil
}

// InTime ends an attempt whose deadline has passed by the wall clock or the monotonic clock.
func (a *Attempt) InTime(context.Context) plan.Outcome {
	if a.r.pastDeadline(a.began, a.beganMonotonic) {
		return plan.Unfinished{Why: plan.TooLate}
	}
	return nil
}

// Mint creates the credential. This is the only call of Mint. An explicit rejection
// withdraws the reservation. After any other error the attempt is abandoned, and this
// process does not publish it.
func (a *Attempt) Mint(ctx context.Context) plan.Outcome {
	req := a.r.mintRequest(a.p, a.name)
	req.Submitted = a.submitted.Values()
	if e := a.p.entry(a.name); e != nil && e.ExpiresAt != nil {
		req.Grant.ExpiresAt = e.ExpiresAt.Time // the expiry in the reservation
	}
	minted, err := a.conn.Client.Mint(ctx, req)
	if err == nil {
		err = plan.ExpiredOnArrival(minted.Credential, req.Grant.ExpiresAt, a.r.Clock.Now())
	}
	metrics.Operation(a.p.facts.DriverType, "mint", err)
	if err == nil {
		a.minted = minted
		return a.checked(ctx)
	}
	out := a.r.providerFailed(a.p, "mint", err)
	rejection, rejected := plan.MintFailed(err, a.action, a.hasSubmitted())
	if !rejected {
		a.p.abandon(a.name)
		ledger.Pause(&a.p.token.Status, a.r.Clock.Now(), rejection.Pause)
		return out
	}
	a.r.strategyFor(a.p).rejected(a, err)
	return a.reject(out, rejection)
}

// checked ends an attempt whose credential cannot be published.
func (a *Attempt) checked(ctx context.Context) plan.Outcome {
	out, rejection := a.r.strategyFor(a.p).check(ctx, a)
	if rejection != nil {
		return a.reject(out, *rejection)
	}
	return out
}

// Usable waits until the provider accepts the credential everywhere. It releases the place
// at the provider, unless Try needs it next.
func (a *Attempt) Usable(ctx context.Context) plan.Outcome {
	if a.minted.UsableAfter <= 0 {
		return nil
	}
	if a.tries() {
		return apierror.Failed(a.r.Clock.Sleep(ctx, a.minted.UsableAfter))
	}
	return apierror.Failed(a.p.place.Sleep(ctx, a.minted.UsableAfter))
}

// Publish writes the Secret, unless it changed since it was read before the reservation.
// After an error it reads the Secret, because the write may have succeeded.
func (a *Attempt) Publish(ctx context.Context) plan.Outcome {
	entry := a.issued()
	if err := a.r.strategyFor(a.p).saveCopy(ctx, a); err != nil {
		return a.unpublished(apierror.PublishFailed(err))
	}
	seen, err := a.r.secrets.Publish(ctx, a.p.target, a.p.seen, &entry, a.minted)
	metrics.Operation(a.p.facts.DriverType, "publish", err)
	if err != nil {
		now, readErr := a.r.secrets.Read(ctx, a.p.target)
		if readErr != nil || now.View.Credential != a.name {
			return a.unpublished(apierror.PublishFailed(err))
		}
		seen = now
	}
	a.p.see(seen)
	return nil
}

// unpublished abandons the attempt if it can no longer be published.
func (a *Attempt) unpublished(out plan.Outcome) plan.Outcome {
	if plan.NeedsNoFence(out) {
		a.p.abandon(a.name)
	}
	return out
}

// issued returns the ledger entry with the id and the expiry that the provider returned.
// The requested expiry applies if the provider returned no expiry or a later one.
func (a *Attempt) issued() v1alpha1.LedgerEntry {
	e := a.p.entry(a.name)
	if e == nil {
		e = &v1alpha1.LedgerEntry{Name: a.name}
	}
	c := a.minted.Credential
	return ledger.Issued(e, a.began, c.ID, c.ExpiresAt)
}

// Record makes the entry Active and starts the overlap of the previous one.
func (a *Attempt) Record(ctx context.Context) plan.Outcome {
	p := a.p
	if p.entry(a.name) != nil {
		c := a.minted.Credential
		ledger.Issue(&p.token.Status, a.name, a.began, c.ID, c.ExpiresAt)
		p.obs.Now = a.r.Clock.Now()
		e := p.entry(a.name)
		p.happened(issued, e, why.Issued(e.Reason), "issued credential %s and published it in Secret %q", plan.Named(e), p.token.SecretName())
		a.r.activate(p, a.name)
	}
	a.r.refresh(p)
	next := a.r.Decide(p.obs)
	if err := a.r.save(ctx, p, next, nil); err != nil {
		return apierror.WriteFailed(err)
	}
	return a.r.strategyFor(p).recorded(ctx, a)
}

// Try repeats a probe that the provider rejects every tryAgain, until tryFor has passed
// since the attempt began. Both are within MintDeadline.
const (
	tryAgain = 5 * time.Second
	tryFor   = 45 * time.Second
)

// Try probes the data plane with the new credential, if the provider declares a probe. Only
// a rejection ends the attempt: a working credential in the Secret must not be replaced by
// one that does not work. Once a probe was rejected, the credential is published only after
// a later probe was accepted. A credential is published if no probe got an answer, so that
// an outage of the data plane does not cause more credentials. It is also published if it is
// restricted to addresses, because the data plane can reject the operator's address.
func (a *Attempt) Try(ctx context.Context) plan.Outcome {
	prober, can := provider.As[provider.Prober](a.conn.Client)
	if !a.tries() || !can {
		return nil
	}
	grant := plan.GrantOf(&a.p.token.Spec)
	for refused := false; ; {
		accepted, err := a.p.probe(ctx, prober, a.minted.Secret, grant)
		refused = refused || err == nil
		if accepted || !refused || grant.LimitsAddresses() {
			return nil
		}
		if a.r.Clock.Monotonic()-a.beganMonotonic >= tryFor {
			break
		}
		if err := a.r.Clock.Sleep(ctx, tryAgain); err != nil {
			return apierror.Failed(err)
		}
	}
	a.p.abandon(a.name)
	return a.r.providerFailed(a.p, "probe", plan.RejectedOnArrival())
}

// tries reports whether a new credential is probed before it is published.
func (a *Attempt) tries() bool { return a.p.facts.Capabilities.TriesNew }
