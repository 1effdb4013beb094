package explore

import (
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"apitoken.dev/operator/test/support/apifake"
	"apitoken.dev/operator/test/support/fake"
)

// fault is what goes wrong with one request.
type fault string

const (
	noFault fault = ""
	// lost: the request never arrives.
	lost fault = "request lost"
	// late: the request takes effect after its sender gave up.
	late fault = "request lands late"
	// answerLost: the request takes effect, and its response is lost.
	answerLost fault = "answer lost"
	// repeated: the request takes effect, the response is a 5xx, and the retry of the
	// client library conflicts with the first request.
	repeated fault = "repeated after commit"
	rejected fault = "rejected"
	// refused: admission rejects the request.
	refused fault = "refused by admission"
	partial fault = "stopped half-way"
	hidden  fault = "not visible yet"
	ignored fault = "ignored"
)

// providerFaults maps the faults to those of the fake provider.
var providerFaults = map[fault]fake.FaultKind{
	noFault: fake.None, lost: fake.InDoubt, late: fake.LandLate, answerLost: fake.LoseAnswer, repeated: fake.LoseAnswer,
	rejected: fake.Reject, refused: fake.Reject, partial: fake.Partial, hidden: fake.Hide, ignored: fake.Ignore,
}

// answer returns what the process receives for a request that took effect.
func answer(c apifake.Call, f fault) error {
	if f == answerLost || f == late {
		return unavailable(c)
	}
	if f == repeated {
		return conflict(c)
	}
	return nil
}

func unavailable(c apifake.Call) error {
	return apierrors.NewServerTimeout(schema.GroupResource{Resource: c.Kind}, c.Verb, 1)
}

func conflict(c apifake.Call) error {
	gr := schema.GroupResource{Resource: c.Kind}
	if c.Verb == apifake.VerbCreate {
		return apierrors.NewAlreadyExists(gr, c.Name)
	}
	return apierrors.NewConflict(gr, c.Name, errors.New("the object has been modified"))
}
