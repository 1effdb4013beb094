package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"apitoken.dev/operator/internal/provider"
)

// meaning is what a status says (RFC 9110, section 15; RFC 4918 for 423; RFC 6585 for 429).
type meaning struct {
	code provider.Code
	// refused: the server says that it did not carry out the request.
	refused bool
	says    string
}

var meanings = map[int]meaning{
	http.StatusBadRequest:            {provider.CodeInvalid, true, "it refused the request as it is"},
	http.StatusUnauthorized:          {provider.CodeUnauthenticated, true, "it did not accept the minting credentials"},
	http.StatusPaymentRequired:       {provider.CodeAccountBlocked, true, "it wants a bill to be settled first"},
	http.StatusForbidden:             {provider.CodePermissionDenied, true, "the minting credentials may not do this"},
	http.StatusNotFound:              {provider.CodeInvalid, true, "it does not know what was asked for"},
	http.StatusMethodNotAllowed:      {provider.CodeInvalid, true, "it does not offer this"},
	http.StatusGone:                  {provider.CodeInvalid, true, "it no longer knows what was asked for"},
	http.StatusRequestEntityTooLarge: {provider.CodeInvalid, true, "the request is too large for it"},
	http.StatusUnprocessableEntity:   {provider.CodeInvalid, true, "it refused the request as it is"},
	http.StatusLocked:                {provider.CodeAccountBlocked, true, "the account is suspended"},
	http.StatusTooManyRequests:       {provider.CodeRateLimited, true, "it wants fewer requests"},
	// A conflict may be with an earlier copy of this very request, and a proxy may
	// give up on a request that still arrives.
	http.StatusConflict:       {provider.CodeInvalid, false, "there is something else in its place"},
	http.StatusRequestTimeout: {provider.CodeUnavailable, false, "it took too long"},
}

// refused says what a status outside 2xx means.
func (a *API) refused(r Request, answer Answer) *provider.Error {
	m, known := meanings[answer.Status]
	switch {
	case known:
	case answer.Status >= 300 && answer.Status < 400:
		m = meaning{provider.CodeInvalid, false, "it redirects, and redirects are not followed: check the endpoint"}
	case answer.Status >= 500:
		m = meaning{provider.CodeUnavailable, false, "it has a problem of its own"}
	default:
		m = meaning{provider.CodeUnknown, false, "that status has no meaning here"}
	}
	e := &provider.Error{
		Code: m.code, NotExecuted: m.refused, RetryAfter: RetryAfter(answer.Header),
		Message: fmt.Sprintf("could not %s: the provider answered with status %d: %s", r.What, answer.Status, m.says),
	}
	switch {
	case answer.Fault != nil: // it says more than the status
		e.Message, e.Err = "could not "+r.What+": "+answer.Fault.Sentence(a.Field), answer.Fault
	case (answer.Status == http.StatusNotFound || answer.Status == http.StatusMethodNotAllowed) && !json.Valid(answer.Body):
		e.Message += "; what answers may not be this API: check " + a.Field
	}
	if a.Explain != nil {
		a.Explain(answer, e)
	}
	return e
}

// maxRetryAfter bounds what a provider may ask for.
const maxRetryAfter = time.Hour

// RetryAfter is the wait a server asks for in whole seconds (RFC 9110, section
// 10.2.3), an hour at most; 0 when it does not. The form with a date needs the
// server's clock, which may be wrong: the wait is then taken from its Date header.
func RetryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return min(max(until.Sub(now), 0), maxRetryAfter)
}
