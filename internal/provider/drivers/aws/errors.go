package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	smithy "github.com/aws/smithy-go"

	"apitoken.dev/operator/internal/provider"
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

// sentences are the messages by code. The action that failed precedes them.
var sentences = map[provider.Code]string{
	provider.CodeUnauthenticated:  "the minting credentials were not accepted; check the keys in the credentials Secret, and the clock of this node",
	provider.CodePermissionDenied: "the minting credentials may not do this; give their user the policy config/samples/aws-minter-policy.json",
	provider.CodeQuota:            "a limit of the account is reached; an AWS account holds 5000 users unless a higher quota was granted",
	provider.CodeRateLimited:      "the server asks for fewer requests",
	provider.CodeInvalid:          "the server rejects the request as invalid",
	provider.CodeUnavailable:      "the server failed",
	provider.CodeUnknown:          "the server answered with an error that this driver does not know",
}

// shownCode matches the error codes that a message may show: plain names only.
var shownCode = regexp.MustCompile(`^[A-Za-z0-9.]{1,64}$`)

// nonsense returns an error, in doubt, for a response that differs from the documentation.
func nonsense(action, why string) *provider.Error {
	return &provider.Error{Code: provider.CodeUnknown, Message: action + ": the server answered " + why}
}

// failure returns the error for a failed action. It is always in doubt; see created
// for the only request whose rejection proves that nothing was created.
func failure(action string, err error) *provider.Error {
	var ours *provider.Error
	if errors.As(err, &ours) { // from this driver, or from a limit that was reached
		return &provider.Error{Code: ours.Code, Message: ours.Message, Err: err}
	}
	code, shown := meaning(err)
	out := &provider.Error{Code: code, Err: err, RetryAfter: s3probe.RetryAfter(err)}
	var api smithy.APIError
	told := errors.As(err, &api) && api.ErrorCode() != noCode
	f := s3probe.FaultIn(err)
	switch answered := s3probe.Status(err); {
	case f != nil:
		if f.Class == provider.FaultTLS { // whether the answer arrives or is lost, the API was not reached
			out.Code = provider.CodeUnavailable
		}
		out.Message, out.Err = f.Sentence(endpointField), errors.Join(err, f)
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		out.Message = "no response before the timeout"
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

// meaning returns the provider.Code for a response, and its error code in brackets for messages.
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

// noCode is the code that the SDK gives to a response in which it finds no code
// (aws-sdk-go-v2, service/iam/deserializers.go).
const noCode = "UnknownError"

// endpointField names the server in errors, even if the field is not set.
const endpointField = "spec.aws.iamEndpoint"

// lacking ends the message about a response without the element that its action
// returns, such as an empty response of a proxy.
const lacking = "without what this action returns"

// whole checks one page of a list. A page without a list does not prove that nothing
// exists, and a truncated page must have a marker for the next one.
func whole(action string, list, truncated bool, marker *string) error {
	switch {
	case !list:
		return nonsense(action, lacking)
	case truncated && aws.ToString(marker) == "":
		return nonsense(action, "with a list that continues, but without a marker for the next page")
	}
	return nil
}

// created returns the error for a failed CreateUser, the first request of a mint, with
// NotExecuted set if nothing can exist. Every rejection proves that, except
// EntityAlreadyExists: no other client uses this name, so an earlier copy of the same
// request (a proxy may repeat one) created the user, and recovery removes it.
func created(action string, err error) *provider.Error {
	out := failure(action, err)
	out.NotExecuted = rejected(err) && !hasCode(err, "EntityAlreadyExists")
	return out
}

// rejected reports whether the server says, by both status and code, that it did not
// carry out the request.
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

// unserved reports whether the server does not implement an action: it answers with
// InvalidAction, or with status 404, 405 or 501 and no code that IAM documents. Servers
// other than AWS lack some actions, and answer with an S3 error or an HTML page.
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
