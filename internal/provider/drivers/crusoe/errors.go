package crusoe

import (
	"net/http"
	"time"

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// envelope is an error of the API: code and message, and in the newer ErrorBody
// an id and a reason too (swagger/v1/swagger.json). The message is never shown.
type envelope struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Reason  string `json:"reason"`
}

// word returns the code word of an error, such as bad_request. It is "" if the error has
// no code word, or only the status.
func (e envelope) word() string {
	for _, s := range []string{e.Code, e.Reason} {
		if w := provider.Word(s); w != "" && (w[0] < '0' || w[0] > '9') {
			return w
		}
	}
	return ""
}

// tolerance is the clock difference above which an error reports it.
const tolerance = time.Minute

// explain adds to an error what the response says.
func explain(c clock.Clock) func(httpapi.Answer, *provider.Error) {
	return func(a httpapi.Answer, e *provider.Error) {
		var body envelope
		if !a.JSON(&body) || body.Code == "" && body.Message == "" {
			// The response is not from the API, but from something in front of it.
			e.NotExecuted = false
			if a.Fault == nil { // a fault has its own message
				e.Message += "; that answer is not the API's own: check the endpoint and what is in front of it"
			}
			return
		}
		if w := body.word(); w != "" {
			e.Message += " (" + w + ")"
		}
		switch a.Status {
		case http.StatusUnauthorized:
			e.Message += "; check " + MinterKeyID + " and " + MinterSecret + " in the credentials Secret, and the clock of this node: a request signed with a wrong time is rejected too" + difference(c, a)
		case http.StatusForbidden, http.StatusNotFound:
			e.Message += "; check spec.crusoe.organizationID, and what the user of the minting credentials may do in it"
		}
	}
}

// difference describes how far the local clock is from the Date of the response. It is ""
// within tolerance.
func difference(c clock.Clock, a httpapi.Answer) string {
	date, err := http.ParseTime(a.Header.Get("Date"))
	if err != nil {
		return ""
	}
	switch d := c.Now().Sub(date).Round(time.Second); {
	case d > tolerance:
		return "; it is " + d.String() + " ahead of the provider's"
	case d < -tolerance:
		return "; it is " + (-d).String() + " behind the provider's"
	default:
		return ""
	}
}
