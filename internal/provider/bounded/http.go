package bounded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"apitoken.dev/operator/internal/provider"
)

const (
	// RequestTime ends a request, from the dial to the last byte of the answer.
	RequestTime = 30 * time.Second
	// MaxBody is the longest body of an answer in bytes, decoded, also of an error.
	MaxBody = 1 << 20
	// MaxHeader is the most that the headers of an answer may hold, in bytes.
	MaxHeader = 64 << 10
	// maxWeight is about the most memory that decoding one answer may take, in bytes.
	maxWeight = 8 << 20
	// readTime ends a call that takes longer to read and decode one answer, because other
	// calls wait until it is decoded.
	readTime = 5 * time.Second
)

// ErrAddress is the error of a request that was not sent because of its address.
// A transport that guards addresses wraps it.
var ErrAddress = errors.New("the address is not allowed")

// errNoClient is the error of every request of a driver without an HTTP client.
var errNoClient = errors.New("no HTTP client was given")

// HTTP returns a client that keeps to the limits: it follows no redirect, ends each
// request after RequestTime, and refuses answers that are too large. Within a call
// of a wrapped driver it counts requests and bytes. An answer is received in full
// before the driver sees it, so that no slow server delays the decoding of other
// answers. Without a client every request fails.
func HTTP(from *http.Client) *http.Client {
	// The client has no Timeout, because the timer of net/http would end the request
	// before the body is decoded.
	out := &http.Client{CheckRedirect: never}
	var next http.RoundTripper = refuser{}
	if from != nil {
		if next = from.Transport; next == nil {
			next = http.DefaultTransport
		}
	}
	if _, done := next.(*limiter); !done {
		next = &limiter{next: next}
	}
	out.Transport = next
	return out
}

func never(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// refuser is the transport of a missing client.
type refuser struct{}

// RoundTrip implements http.RoundTripper.
func (refuser) RoundTrip(*http.Request) (*http.Response, error) { return nil, errNoClient }

// limiter is the transport of every request of a driver.
type limiter struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (l *limiter) RoundTrip(req *http.Request) (*http.Response, error) {
	b := budgetOf(req.Context())
	call := req.Context()
	if b == nil {
		// Only tests use a driver without a wrapper: the limits of one answer hold.
		b = &budget{kind: connect, call: call}
	}
	if err := b.request(call); err != nil {
		closeBody(req)
		return nil, err
	}
	ctx, cancel := context.WithTimeout(call, RequestTime)
	defer cancel()
	resp, err := l.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		if errors.Is(err, ErrAddress) {
			b.refuse(req.URL.Host)
			return nil, err
		}
		b.handed()
		return nil, told(call, req, err)
	}
	b.handed()
	defer resp.Body.Close()
	content, err := receive(b, resp)
	if err != nil {
		return nil, told(call, req, err)
	}
	resp.Request = req
	resp.Body = &body{call: b.call, budget: b, content: bytes.NewReader(content), fault: answerFault(req, resp, content)}
	resp.ContentLength = int64(len(content))
	return resp, nil
}

// told turns an error into a Fault, unless a limit was reached or the caller gave up.
func told(call context.Context, req *http.Request, err error) error {
	var limit *provider.Error
	if call.Err() != nil || errors.As(err, &limit) || errors.Is(err, errNoClient) {
		return err
	}
	return fault(req.URL, err)
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // a RoundTripper must close it, also without reading it
	}
}

// receive reads the whole body, within the limits of one answer.
func receive(b *budget, resp *http.Response) ([]byte, error) {
	headers := 0
	for name, values := range resp.Header {
		for _, value := range values {
			headers += len(name) + len(value)
		}
	}
	if headers > MaxHeader {
		return nil, b.stop(fmt.Sprintf("the provider answered with headers of more than %d KiB", MaxHeader>>10))
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if err != nil {
		return nil, err
	}
	if len(content) > MaxBody {
		return nil, b.stop(fmt.Sprintf("the provider answered with more than %d MiB at once", MaxBody>>20))
	}
	if weight(content) > maxWeight {
		return nil, b.stop("the provider answered with more values than can be read at once")
	}
	return content, b.read(len(content))
}

// weights are about how much memory, in bytes, decoding takes for each character that
// begins a value in JSON and XML: a map for an object, the header of a slice for a list, an
// interface with its value for an element, and a struct for an XML element.
var weights = [256]int{'{': 320, '[': 48, ',': 48, '<': 128}

func weight(content []byte) int {
	total := len(content)
	for _, c := range content {
		total += weights[c]
	}
	return total
}

// body is an answer that was received. Its reader holds one of the slots from the
// first Read to Close, or until the call ends, which it does after readTime.
type body struct {
	call    context.Context
	budget  *budget
	content *bytes.Reader
	// fault is the reason why this is not an answer of an API; nil if it may be one.
	fault *provider.Fault

	mu      sync.Mutex
	held    bool
	closed  bool
	release func()
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if err := b.hold(); err != nil {
		return 0, err
	}
	return b.content.Read(p)
}

func (b *body) hold() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return http.ErrBodyReadAfterClose
	case b.held:
		return nil
	}
	free, err := slots.take(b.call, b.budget.owner)
	if err != nil {
		return err
	}
	reading, done := context.WithTimeout(b.call, readTime)
	stop := context.AfterFunc(reading, func() { // it ends with the call, too
		if b.call.Err() == nil {
			b.budget.giveUp(fmt.Sprintf("it took longer than %s to read one answer", readTime))
		}
		free()
	})
	b.held, b.release = true, func() { stop(); done(); free() }
	return nil
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.release != nil {
		b.release()
	}
	return nil
}
