package apierror_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"apitoken.dev/operator/internal/apierror"
	"apitoken.dev/operator/internal/plan"
)

// canary is a text of an object, which no outcome repeats.
const canary = "CANARY"

var (
	secrets   = schema.GroupResource{Resource: "secrets"}
	conflict  = apierrors.NewConflict(secrets, canary, errors.New(canary))
	notFound  = apierrors.NewNotFound(secrets, canary)
	exists    = apierrors.NewAlreadyExists(secrets, canary)
	forbidden = apierrors.NewForbidden(secrets, canary, errors.New(canary))
	timeout   = apierrors.NewServerTimeout(secrets, "update", 1)
	errLost   = errors.New("connection reset")
)

func invalid(at *field.Path) error {
	return apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, canary, field.ErrorList{field.Invalid(at, canary, canary)})
}

func deleteFailed(err error) plan.Outcome { return apierror.DeleteFailed("training", err) }

func TestErrorsBecomeOutcomes(t *testing.T) {
	cases := map[string]struct {
		outcome func(error) plan.Outcome
		err     error
		want    string // type: text
	}{
		"no error":                  {apierror.Failed, nil, "<nil>: "},
		"answer of the API server":  {apierror.Failed, forbidden, "plan.NotSent: a request to the API server failed: Forbidden"},
		"wrapped answer":            {apierror.Failed, fmt.Errorf("reading: %w", timeout), "plan.NotSent: a request to the API server failed: ServerTimeout"},
		"any other error":           {apierror.Failed, errLost, "plan.Failed: connection reset"},
		"written":                   {apierror.WriteFailed, nil, "<nil>: "},
		"write conflicted":          {apierror.WriteFailed, conflict, "plan.Superseded: another client changed an object first: Conflict"},
		"written object is gone":    {apierror.WriteFailed, notFound, "plan.Superseded: another client changed an object first: NotFound"},
		"created object exists":     {apierror.WriteFailed, exists, "plan.Superseded: another client changed an object first: AlreadyExists"},
		"write rejected":            {apierror.WriteFailed, forbidden, "plan.NotSent: a request to the API server failed: Forbidden"},
		"published":                 {apierror.PublishFailed, nil, "<nil>: "},
		"Secret changed":            {apierror.PublishFailed, conflict, "plan.Superseded: another client changed an object first: Conflict"},
		"Secret rejected":           {apierror.PublishFailed, forbidden, "plan.SecretRefused: the Secret could not be written: Forbidden"},
		"Secret too large":          {apierror.PublishFailed, apierrors.NewRequestEntityTooLargeError(canary), "plan.SecretRefused: the Secret could not be written: RequestEntityTooLarge"},
		"no answer to a publish":    {apierror.PublishFailed, errLost, "plan.NotSent: the Secret could not be written: no answer"},
		"reservation conflicted":    {apierror.ReserveFailed, conflict, "plan.Superseded: another client changed an object first: Conflict"},
		"ApiToken is gone":          {apierror.ReserveFailed, notFound, "plan.Superseded: another client changed an object first: NotFound"},
		"no answer to reservation":  {apierror.ReserveFailed, errLost, "plan.NotSent: the reservation could not be written: no answer"},
		"reservation not permitted": {apierror.ReserveFailed, forbidden, "plan.NotSent: the reservation could not be written: Forbidden"},
		"deletion conflicted":       {deleteFailed, conflict, "plan.Superseded: another client changed an object first: Conflict"},
		"deletion rejected": {deleteFailed, forbidden, `plan.NotSent: Secret "training" could not be deleted (Forbidden). ` +
			"Its credential is revoked anyway. Allow the deletion, or delete the Secret yourself"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			out := c.outcome(c.err)
			text := ""
			if out != nil {
				text = out.String()
			}
			if diff := cmp.Diff(c.want, fmt.Sprintf("%T: %s", out, text)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if err := plan.Err(out); c.err != nil && strings.HasPrefix(c.want, "plan.NotSent") && !errors.Is(err, c.err) {
				t.Errorf("the cause is %v", err)
			}
		})
	}
}

func TestRejectedFieldIsNamedWithItsFix(t *testing.T) {
	cases := map[string]struct {
		at   *field.Path
		want string
	}{
		"immutable": {field.NewPath("immutable"), ": immutable: the Secret is immutable"},
		"a label":   {field.NewPath("metadata", "labels").Key(canary), ": metadata.labels: correct spec.secret.labels"},
		"a key":     {field.NewPath("data").Key(canary), ": data: a key is not valid in a Secret"},
		"unknown":   {field.NewPath("database"), ""},
	}
	for name, c := range cases {
		out := apierror.PublishFailed(invalid(c.at))
		rest, ok := strings.CutPrefix(out.String(), "the Secret could not be written: Invalid")
		if !ok || !strings.HasPrefix(rest, c.want) || c.want == "" && rest != "" {
			t.Errorf("%s: %s", name, out)
		}
		if strings.Contains(out.String(), canary) {
			t.Errorf("%s: the outcome repeats the text of the error: %s", name, out)
		}
	}
}
