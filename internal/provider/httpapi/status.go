package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"apitoken.dev/operator/internal/provider"
)

// meaning is the meaning of a status (RFC 9110, section 15; RFC 4918 for 423; RFC 6585 for 429).
type meaning struct {
	code provider.Code
	// rejected: the server reports that it did not carry out the request.
	rejected bool
	says     string
}

var meanings = map[int]meaning{
	http.StatusBadRequest:            {provider.CodeInvalid, true, "it rejected the request as invalid"},
	http.StatusUnauthorized:          {provider.CodeUnauthenticated, true, "it did not accept the minting credentials"},
	http.StatusPaymentRequired:       {provider.CodeAccountBlocked, true, "a bill must be paid first"},
	http.StatusForbidden:             {provider.CodePermissionDenied, true, "the minting credentials may not do this"},
	http.StatusNotFound:              {provider.CodeInvalid, true, "it did not find what was requested"},
	http.StatusMethodNotAllowed:      {provider.CodeInvalid, true, "it does not offer this"},
	http.StatusGone:                  {provider.CodeInvalid, true, "what was requested no longer exists"},
	http.StatusRequestEntityTooLarge: {provider.CodeInvalid, true, "the request is too large for it"},
	http.StatusUnprocessableEntity:   {provider.CodeInvalid, true, "it rejected the request as invalid"},
	http.StatusLocked:                {provider.CodeAccountBlocked, true, "the account is suspended"},
	http.StatusTooManyRequests:       {provider.CodeRateLimited, true, "it asks for fewer requests"},
	// A conflict can be with an earlier copy of the same request, and a proxy can give
	// up on a request that still arrives.
	http.StatusConflict:       {provider.CodeInvalid, false, "it conflicts with something that exists"},
	http.StatusRequestTimeout: {provider.CodeUnavailable, false, "it took too long"},
}

// statusError returns the error of a status outside 2xx.
func (a *API) statusError(r Request, answer Answer) *provider.Error {
	m, known := meanings[answer.Status]
	switch {
	case known:
	case answer.Status >= 300 && answer.Status < 400:
		m = meaning{provider.CodeInvalid, false, "it redirects, and redirects are not followed: check the endpoint"}
	case answer.Status >= 500:
		m = meaning{provider.CodeUnavailable, false, "the server failed"}
	default:
		m = meaning{provider.CodeUnknown, false, "the operator does not know this status"}
	}
	e := &provider.Error{
		Code: m.code, NotExecuted: m.rejected, RetryAfter: RetryAfter(answer.Header),
		Message: fmt.Sprintf("could not %s: the provider answered with status %d: %s", r.What, answer.Status, m.says),
	}
	switch {
	case answer.Fault != nil: // it says more than the status
		e.Message, e.Err = "could not "+r.What+": "+answer.Fault.Sentence(a.Field), answer.Fault
	case (answer.Status == http.StatusNotFound || answer.Status == http.StatusMethodNotAllowed) && !json.Valid(answer.Body):
		e.Message += "; the server may not be this API: check " + a.Field
	}
	if a.Explain != nil {
		a.Explain(answer, e)
	}
	return e
}

// maxRetryAfter is the longest wait that a provider can ask for.
const maxRetryAfter = time.Hour

// RetryAfter is the wait a server asks for in whole seconds (RFC 9110, section
// 10.2.3), at most an hour; 0 without one. A date is compared with the server's own Date
// header, because its clock may be wrong.
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
