package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
	"apitoken.dev/operator/internal/provider/s3probe"
)

// codes are the error codes that reject a request before it had any effect
// (IAM API reference, "Common Errors" and the errors of each action). Every
// other error is in doubt; so is EntityAlreadyExists, see created.
var codes = map[string]provider.Code{
	"AuthFailure":                   provider.CodeUnauthenticated,
	"ExpiredToken":                  provider.CodeUnauthenticated,
	"IncompleteSignature":           provider.CodeUnauthenticated,
	"InvalidAccessKeyId":            provider.CodeUnauthenticated,
	"InvalidClientTokenId":          provider.CodeUnauthenticated,
	"MissingAuthenticationToken":    provider.CodeUnauthenticated,
	"RequestExpired":                provider.CodeUnauthenticated,
	"SignatureDoesNotMatch":         provider.CodeUnauthenticated,
	"UnrecognizedClientException":   provider.CodeUnauthenticated,
	"AccessDenied":                  provider.CodePermissionDenied,
	"AccessDeniedException":         provider.CodePermissionDenied,
	"NotAuthorized":                 provider.CodePermissionDenied,
	"OptInRequired":                 provider.CodePermissionDenied,
	"UnauthorizedOperation":         provider.CodePermissionDenied,
	"LimitExceeded":                 provider.CodeQuota,
	"LimitExceededException":        provider.CodeQuota,
	"ServiceQuotaExceededException": provider.CodeQuota,
	"RequestLimitExceeded":          provider.CodeRateLimited,
	"RequestThrottled":              provider.CodeRateLimited,
	"SlowDown":                      provider.CodeRateLimited,
	"Throttling":                    provider.CodeRateLimited,
	"ThrottlingException":           provider.CodeRateLimited,
	"TooManyRequestsException":      provider.CodeRateLimited,
	"InvalidAction":                 provider.CodeInvalid,
	"InvalidInput":                  provider.CodeInvalid,
	"InvalidParameterCombination":   provider.CodeInvalid,
	"InvalidParameterValue":         provider.CodeInvalid,
	"MalformedPolicyDocument":       provider.CodeInvalid,
	"MissingParameter":              provider.CodeInvalid,
	"NoSuchEntity":                  provider.CodeInvalid,
	"ValidationError":               provider.CodeInvalid,
	"DeleteConflict":                provider.CodeInvalid,
	"EntityAlreadyExists":           provider.CodeInvalid,
	"EntityTemporarilyUnmodifiable": provider.CodeUnavailable,
	"ConcurrentModification":        provider.CodeUnavailable,
	"InternalFailure":               provider.CodeUnavailable,
	"ServiceFailure":                provider.CodeUnavailable,
	"ServiceUnavailable":            provider.CodeUnavailable,
}

// sentences by code, begun with the action that failed.
var sentences = map[provider.Code]string{
	provider.CodeUnauthenticated:  "the minting credentials were not accepted; check the keys in the credentials Secret, and the clock of this node",
	provider.CodePermissionDenied: "the minting credentials may not do this; give their user the policy config/samples/aws-minter-policy.json",
	provider.CodeQuota:            "a limit of the account is reached; an AWS account holds 5000 users unless a higher quota was granted",
	provider.CodeRateLimited:      "the server asks for fewer requests",
	provider.CodeInvalid:          "the server refuses the request as it is",
	provider.CodeUnavailable:      "the server failed",
	provider.CodeUnknown:          "the server answered with an error that this driver does not know",
}

// shownCode admits an error code into a sentence: it can hold nothing but a name.
var shownCode = regexp.MustCompile(`^[A-Za-z0-9.]{1,64}$`)

// nonsense is an error, in doubt, of an answer that is not what its documentation says.
func nonsense(action, why string) *provider.Error {
	return &provider.Error{Code: provider.CodeUnknown, Message: action + ": the server answered " + why}
}

// failure makes an error of an action that did not succeed. It is in doubt;
// see created for the one request that may say that nothing exists.
func failure(action string, err error) *provider.Error {
	var ours *provider.Error
	if errors.As(err, &ours) { // of this driver, or of a limit that was reached
		return &provider.Error{Code: ours.Code, Message: ours.Message, Err: err}
	}
	code, shown := meaning(err)
	out := &provider.Error{Code: code, Err: err, RetryAfter: s3probe.RetryAfter(err)}
	var api smithy.APIError
	told := errors.As(err, &api) && api.ErrorCode() != noCode
	f := faultIn(err)
	switch answered := s3probe.Status(err); {
	case f != nil:
		if f.Class == provider.FaultTLS { // whether the answer arrives or is lost, the API was not reached
			out.Code = provider.CodeUnavailable
		}
		out.Message, out.Err = f.Sentence(endpointField), errors.Join(err, f)
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		out.Message = "no answer in the time given"
	case told:
		out.Message = sentences[code] + shown
	case answered == 0:
		out.Message = "no answer"
	default:
		out.Message = fmt.Sprintf("the server answered with status %d, but not as the IAM API does; check %s, and what stands in front of the server", answered, endpointField)
	}
	out.Message = action + ": " + out.Message
	return out
}

// meaning returns what the code of an answer means, and the code as a sentence may show it.
func meaning(err error) (code provider.Code, shown string) {
	code = provider.CodeUnavailable
	var api smithy.APIError
	if !errors.As(err, &api) {
		return code, ""
	}
	if shownCode.MatchString(api.ErrorCode()) {
		shown = " (" + api.ErrorCode() + ")"
	}
	known, ok := codes[api.ErrorCode()]
	switch {
	case ok:
		code = known
	case s3probe.Status(err) == http.StatusTooManyRequests:
		code = provider.CodeRateLimited
	case s3probe.Status(err) < http.StatusInternalServerError:
		code = provider.CodeUnknown
	}
	return code, shown
}

// noCode is the code that the SDK gives to an answer in which it finds none
// (aws-sdk-go-v2, service/iam/deserializers.go).
const noCode = "UnknownError"

// endpointField names the server in errors, also where it is left to its default.
const endpointField = "spec.aws.iamEndpoint"

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

// lacking ends the sentence about an answer without the element that its action
// returns, such as an empty one of a proxy.
const lacking = "without what this action returns"

// whole checks one page of a list. One without its list does not say that there is
// nothing, and one that continues must say where.
func whole(action string, list, truncated bool, marker *string) error {
	switch {
	case !list:
		return nonsense(action, lacking)
	case truncated && aws.ToString(marker) == "":
		return nonsense(action, "with a list that goes on, and not where")
	}
	return nil
}

// created turns the error of the request that begins a credential into one that
// says whether anything can exist. A rejection says that nothing does, except
// EntityAlreadyExists: the name is ours alone, so an earlier copy of this very
// request (a proxy may repeat one) must have made the user, which recovery removes.
func created(action string, err error) *provider.Error {
	out := failure(action, err)
	out.NotExecuted = rejected(err) && !hasCode(err, "EntityAlreadyExists")
	return out
}

// rejected reports whether the server says, by status and by code, that it has
// not done what was asked.
func rejected(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	code, known := codes[api.ErrorCode()]
	if !known || code == provider.CodeUnavailable {
		return false
	}
	if code == provider.CodeRateLimited { // SlowDown and the like come with 503
		return s3probe.Status(err) != 0
	}
	return s3probe.Status(err) >= http.StatusBadRequest && s3probe.Status(err) < http.StatusInternalServerError
}

// unserved reports whether the server says that it does not have an action: with the
// code for that, or with a status for what is not there and no code that IAM documents.
// Servers other than AWS lack actions, and answer in S3's form of an error or with a page.
func unserved(err error) bool {
	if hasCode(err, "InvalidAction") {
		return true
	}
	switch s3probe.Status(err) {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return !hasKnownCode(err)
	}
	return false
}

// hasKnownCode reports whether the server answered with one of codes.
func hasKnownCode(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	_, known := codes[api.ErrorCode()]
	return known
}

// hasCode reports whether the server answered with this error code.
func hasCode(err error, code string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == code
}
