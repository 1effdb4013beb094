package s3probe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// answers are the error codes that say something about the key or the bucket
// (Amazon S3 API reference, "Error responses").
var answers = map[string]Answer{
	"AccessDenied":          Denied,
	"InvalidAccessKeyId":    UnknownKey,
	"SignatureDoesNotMatch": WrongSecret,
	"NoSuchBucket":          NoBucket,
}

// refusals are the error codes that refuse a request and say nothing about the
// key (same reference).
var refusals = map[string]struct {
	code provider.Code
	says string
}{
	"RequestTimeTooSkewed":         {provider.CodeUnavailable, "its clock and the clock of this node are too far apart"},
	"AuthorizationHeaderMalformed": {provider.CodeUnknown, "it wants requests signed for another region; check the region of the provider"},
	"InvalidBucketName":            {provider.CodeInvalid, "it admits no bucket of that name"},
	"SlowDown":                     {provider.CodeRateLimited, "it wants fewer requests"},
	"RequestLimitExceeded":         {provider.CodeRateLimited, "it wants fewer requests"},
	"Throttling":                   {provider.CodeRateLimited, "it wants fewer requests"},
	"ThrottlingException":          {provider.CodeRateLimited, "it wants fewer requests"},
	"TooManyRequests":              {provider.CodeRateLimited, "it wants fewer requests"},
}

// answer tells what a server said; a *provider.Error when that is nothing about the key.
func (c conn) answer(what string, err error) (Answer, error) {
	if err == nil {
		return Allowed, nil
	}
	said, known := answers[code(err)]
	if status := Status(err); known && status >= http.StatusBadRequest && status < http.StatusInternalServerError {
		return said, nil
	}
	return "", failure(what, c.field, err)
}

// failure makes an error of a request whose answer says nothing about the key.
func failure(what, field string, err error) *provider.Error {
	out := &provider.Error{Code: provider.CodeUnavailable, Err: err, RetryAfter: RetryAfter(err)}
	if f := faultIn(err); f != nil {
		out.Message = "could not " + what + ": " + f.Sentence(field)
		switch {
		case f.Class == provider.FaultRedirect:
			out.Code = provider.CodeInvalid
			out.Message += ", or correct the region of the provider"
		case Status(err) != 0:
			out.Code = provider.CodeUnknown
		}
		return out
	}
	var why string
	refused, known := refusals[code(err)]
	switch status := Status(err); {
	case errors.Is(err, context.Canceled):
		why = "it was given up"
	case status == 0:
		why = "the server did not answer"
	case known:
		out.Code, out.NotExecuted, why = refused.code, true, "the server refused: "+refused.says
	case status == http.StatusTooManyRequests:
		out.Code, out.NotExecuted, why = provider.CodeRateLimited, true, "the server refused: it wants fewer requests"
	case status >= http.StatusInternalServerError:
		why = fmt.Sprintf("the server answered with status %d: it has a problem of its own", status)
	default:
		out.Code = provider.CodeUnknown
		why = fmt.Sprintf("the server answered with status %d%s, which says nothing about the key", status, shown(err))
	}
	out.Message = "could not " + what + ": " + why
	return out
}

// faultIn returns why there is no answer, or none of an API; nil when there may be one.
func faultIn(err error) *provider.Fault {
	if f := provider.FaultIn(err); f != nil {
		return f
	}
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil {
		return bounded.FaultOf(answer.Response.Response)
	}
	return nil
}

// unclear is an answer that is not one of S3.
func unclear(what, how string) *provider.Error {
	return &provider.Error{Code: provider.CodeUnavailable, Message: "could not " + what + ": the server answered " + how}
}

// code is the error code of an answer; empty when it has none.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// shown is the code as a sentence may show it.
func shown(err error) string {
	if word := provider.Word(code(err)); word != "" {
		return " (" + word + ")"
	}
	return ""
}

// Status returns the HTTP status of the answer in an error of the AWS SDK; 0 if there was
// no answer.
func Status(err error) int {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

// RetryAfter returns the wait that the server asked for in an error of the AWS SDK; 0: none.
func RetryAfter(err error) time.Duration {
	var answer *smithyhttp.ResponseError
	if !errors.As(err, &answer) || answer.Response == nil || answer.Response.Response == nil {
		return 0
	}
	return httpapi.RetryAfter(answer.Response.Header)
}
