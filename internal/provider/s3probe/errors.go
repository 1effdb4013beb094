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

// answers are the error codes about the key or the bucket
// (Amazon S3 API reference, "Error responses").
var answers = map[string]Answer{
	"AccessDenied":          Denied,
	"InvalidAccessKeyId":    UnknownKey,
	"SignatureDoesNotMatch": WrongSecret,
	"NoSuchBucket":          NoBucket,
}

// rejections are the error codes that reject a request for reasons other than the key
// (same reference).
var rejections = map[string]struct {
	code provider.Code
	says string
}{
	"RequestTimeTooSkewed":         {provider.CodeUnavailable, "its clock and the clock of this node are too far apart"},
	"AuthorizationHeaderMalformed": {provider.CodeUnknown, "it expects requests signed for another region; check the region of the provider"},
	"InvalidBucketName":            {provider.CodeInvalid, "it allows no bucket of that name"},
	"SlowDown":                     {provider.CodeRateLimited, "it asks for fewer requests"},
	"RequestLimitExceeded":         {provider.CodeRateLimited, "it asks for fewer requests"},
	"Throttling":                   {provider.CodeRateLimited, "it asks for fewer requests"},
	"ThrottlingException":          {provider.CodeRateLimited, "it asks for fewer requests"},
	"TooManyRequests":              {provider.CodeRateLimited, "it asks for fewer requests"},
}

// answer returns the answer of a server; a *provider.Error if it is not about the key.
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

// failure returns the error of a request whose answer is not about the key.
func failure(what, field string, err error) *provider.Error {
	out := &provider.Error{Code: provider.CodeUnavailable, Err: err, RetryAfter: RetryAfter(err)}
	if f := FaultIn(err); f != nil {
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
	rejection, known := rejections[code(err)]
	switch status := Status(err); {
	case errors.Is(err, context.Canceled):
		why = "it was canceled"
	case status == 0:
		why = "the server did not answer"
	case known:
		out.Code, out.NotExecuted, why = rejection.code, true, "the server rejected the request: "+rejection.says
	case status == http.StatusTooManyRequests:
		out.Code, out.NotExecuted, why = provider.CodeRateLimited, true, "the server rejected the request: it asks for fewer requests"
	case status >= http.StatusInternalServerError:
		why = fmt.Sprintf("the server answered with status %d: the server failed", status)
	default:
		out.Code = provider.CodeUnknown
		why = fmt.Sprintf("the server answered with status %d%s, which does not tell whether the key is valid", status, shown(err))
	}
	out.Message = "could not " + what + ": " + why
	return out
}

// FaultIn returns the fault, in an error of the AWS SDK, that kept the server from answering;
// nil if the server may have answered.
func FaultIn(err error) *provider.Fault {
	if f := provider.FaultIn(err); f != nil {
		return f
	}
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil {
		return bounded.FaultOf(answer.Response.Response)
	}
	return nil
}

// unclear is the error of an answer that S3 does not give.
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

// shown is the code as a message shows it.
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
