package s3front

import (
	"encoding/xml"
	"io"
	"net/http"
)

// refusal is an error of S3 (Amazon S3 API reference, "Error responses").
type refusal struct {
	status        int
	code, message string
}

// The errors that the front answers itself.
var (
	unsigned     = &refusal{http.StatusForbidden, "AccessDenied", "The request is not signed."}
	unknownKey   = &refusal{http.StatusForbidden, "InvalidAccessKeyId", "There is no such access key."}
	badSignature = &refusal{http.StatusForbidden, "SignatureDoesNotMatch", "The signature does not match this request and this access key."}
	skewed       = &refusal{http.StatusForbidden, "RequestTimeTooSkewed", "The time of the request is too far from that of the server."}
	malformed    = &refusal{http.StatusBadRequest, "AuthorizationHeaderMalformed", "The authorization header is malformed."}
	wrongDigest  = &refusal{http.StatusBadRequest, "XAmzContentSHA256Mismatch", "The body does not have the digest that was signed."}
	incomplete   = &refusal{http.StatusBadRequest, "IncompleteBody", "The length or the form of the body differs from its headers."}
	tooLarge     = &refusal{http.StatusBadRequest, "EntityTooLarge", "The body is larger than this server accepts."}
	otherwise    = &refusal{http.StatusNotImplemented, "NotImplemented", "This server accepts only requests that are signed in a header, and bodies that are signed as a whole or unsigned."}
	unreachable  = &refusal{http.StatusServiceUnavailable, "ServiceUnavailable", "The server behind this one did not answer."}
)

// errorBody is the XML of an error.
type errorBody struct {
	XMLName xml.Name `xml:"Error"`
	Code    string
	Message string
}

func (no *refusal) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(no.status)
	_, _ = io.WriteString(w, xml.Header) // the client can be gone
	_ = xml.NewEncoder(w).Encode(errorBody{Code: no.code, Message: no.message})
}
