package s3front

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// maxBody is the largest accepted body, in bytes.
const maxBody = 1 << 20

// Values of the digest header that are no digest (Amazon S3 API reference, "Signature
// Calculations for the Authorization Header").
const (
	unsignedPayload  = "UNSIGNED-PAYLOAD"
	unsignedTrailer  = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	streamingPayload = "STREAMING-"
)

// payload is the whole body of a request, and its headers.
type payload struct {
	body   []byte
	header http.Header
}

// readPayload reads a body that is signed by its digest, or not signed. It rejects a body
// that is signed chunk by chunk: the SDKs send none.
func readPayload(r *http.Request) (payload, *refusal) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return payload{}, incomplete
	}
	if len(body) > maxBody {
		return payload{}, tooLarge
	}
	out := payload{body: body, header: r.Header.Clone()}
	switch digest := r.Header.Get(digestHeader); {
	case digest == unsignedPayload:
		return out, nil
	case digest == unsignedTrailer:
		if err := out.unwrap(); err != nil {
			return payload{}, incomplete
		}
		return out, nil
	case strings.HasPrefix(digest, streamingPayload):
		return payload{}, otherwise
	default:
		if sum := sha256.Sum256(body); digest != hex.EncodeToString(sum[:]) {
			return payload{}, wrongDigest
		}
		return out, nil
	}
}

// unwrap joins the chunks of the body, and turns the checksums that follow it
// into headers, so that the real server checks them
// (Amazon S3 API reference, "Signature Calculations ... Including Trailing Headers").
func (p *payload) unwrap() error {
	wire := bufio.NewReader(bytes.NewReader(p.body))
	body, err := io.ReadAll(httputil.NewChunkedReader(wire))
	if err != nil {
		return err
	}
	if length, err := strconv.Atoi(p.header.Get("X-Amz-Decoded-Content-Length")); err != nil || length != len(body) {
		return errors.New("the length of the body differs from X-Amz-Decoded-Content-Length")
	}
	trailer, err := textproto.NewReader(wire).ReadMIMEHeader()
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(p.header.Get("X-Amz-Trailer"), ",") {
		name = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))
		if len(trailer[name]) != 1 || !strings.HasPrefix(name, "X-Amz-Checksum-") {
			return errors.New("the trailer is not a checksum that X-Amz-Trailer names")
		}
		p.header.Set(name, trailer.Get(name))
	}
	p.header.Del("X-Amz-Trailer")
	p.header.Del("X-Amz-Decoded-Content-Length")
	p.body, p.header["Content-Encoding"] = body, withoutChunks(p.header.Values("Content-Encoding"))
	if len(p.header["Content-Encoding"]) == 0 {
		p.header.Del("Content-Encoding")
	}
	return nil
}

// withoutChunks returns a Content-Encoding without aws-chunked.
func withoutChunks(encodings []string) []string {
	var out []string
	for _, list := range encodings {
		each := strings.Split(list, ",")
		for i := range each {
			each[i] = strings.TrimSpace(each[i])
		}
		if left := strings.Join(slices.DeleteFunc(each, func(e string) bool { return e == "aws-chunked" || e == "" }), ","); left != "" {
			out = append(out, left)
		}
	}
	return out
}
