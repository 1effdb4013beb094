package s3probe_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/s3probe"
	"apitoken.dev/operator/test/support/conformance"
	"apitoken.dev/operator/test/support/simulate/kloudbeansim"
)

const rawText = conformance.RawText

// canary is the secret of every key that is sent to a server of these tests.
const canary = "CANARY-secret-access-key"

var someKeys = s3probe.Keys{ID: provider.NewValue("KB1"), Secret: provider.NewValue(canary)}

type answer struct {
	status int
	header http.Header
	body   string
}

func failed(status int, code string) answer {
	return answer{status: status, header: http.Header{"Content-Type": {"application/xml"}}, body: fmt.Sprintf(
		`<?xml version="1.0"?><Error><Code>%s</Code><Message>%s %s</Message><RequestId>r</RequestId></Error>`, code, rawText, canary)}
}

// serve answers every request the same way, and counts them.
func serve(t *testing.T, a answer) (s3probe.Target, *atomic.Int32) {
	t.Helper()
	count := &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		count.Add(1)
		for key, values := range a.header {
			w.Header()[key] = values
		}
		w.WriteHeader(a.status)
		_, _ = w.Write([]byte(a.body))
	}))
	t.Cleanup(server.Close)
	return s3probe.Target{Endpoint: server.URL, Region: "us-east-1", Bucket: bucket, HTTP: server.Client()}, count
}

// TestAnswersAboutTheKeyAreClassified are those that say something about the key.
func TestAnswersAboutTheKeyAreClassified(t *testing.T) {
	for name, tc := range map[string]struct {
		answer answer
		want   s3probe.Answer
	}{
		"denied":        {failed(403, "AccessDenied"), s3probe.Denied},
		"unknown key":   {failed(403, "InvalidAccessKeyId"), s3probe.UnknownKey},
		"bad signature": {failed(403, "SignatureDoesNotMatch"), s3probe.WrongSecret},
		"no bucket":     {failed(404, "NoSuchBucket"), s3probe.NoBucket},
	} {
		t.Run(name, func(t *testing.T) {
			target, count := serve(t, tc.answer)
			for _, want := range []s3probe.Want{readOnly, writeOnly} {
				if got, err := s3probe.Ask(t.Context(), target, someKeys, want); got != tc.want || err != nil {
					t.Errorf("Ask(%+v): got %q, %v; want %q", want, got, err, tc.want)
				}
			}
			if count.Load() != 2 {
				t.Errorf("sent %d requests, want 2", count.Load())
			}
		})
	}
}

// TestOtherAnswersSayNothingAboutTheKey are answers that say nothing about the key.
func TestOtherAnswersSayNothingAboutTheKey(t *testing.T) {
	slow := failed(503, "SlowDown")
	slow.header.Set("Retry-After", "7")
	cases := map[string]struct {
		answer answer
		code   provider.Code
		doubt  bool
		wait   time.Duration
		says   string
	}{
		"slow down":        {answer: slow, code: provider.CodeRateLimited, wait: 7 * time.Second, says: "fewer requests"},
		"too many":         {answer: failed(429, "AnyCode"), code: provider.CodeRateLimited, says: "fewer requests"},
		"clock":            {answer: failed(403, "RequestTimeTooSkewed"), code: provider.CodeUnavailable, says: "clock of this node"},
		"region":           {answer: failed(400, "AuthorizationHeaderMalformed"), code: provider.CodeUnknown, says: "check the region"},
		"name":             {answer: failed(400, "InvalidBucketName"), code: provider.CodeInvalid, says: "no bucket of that name"},
		"server failure":   {answer: failed(500, "InternalError"), code: provider.CodeUnavailable, doubt: true, says: "status 500"},
		"denial of a 5xx":  {answer: failed(502, "InvalidAccessKeyId"), code: provider.CodeUnavailable, doubt: true, says: "status 502"},
		"unknown code":     {answer: failed(400, "Unheard.Of"), code: provider.CodeUnknown, doubt: true, says: "(Unheard.Of)"},
		"code that's text": {answer: failed(400, "go to "+rawText), code: provider.CodeUnknown, doubt: true, says: "status 400, which"},
		"no body":          {answer: answer{status: 403}, code: provider.CodeUnknown, doubt: true, says: "status 403"},
		"denying proxy":    {answer: answer{status: 403, body: "<html>" + rawText}, code: provider.CodeUnknown, doubt: true, says: "web page (status 403)"},
		"page":             {answer: answer{status: 200, header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, body: "<!doctype html>" + rawText}, code: provider.CodeUnavailable, doubt: true, says: "web page (status 200)"},
		"redirect": {
			answer: answer{status: 307, header: http.Header{"Location": {"/elsewhere"}}}, code: provider.CodeInvalid, doubt: true, says: "redirects are not followed",
		},
		"another region": {
			answer: answer{status: 301, header: failed(0, "").header, body: failed(301, "PermanentRedirect").body}, code: provider.CodeInvalid, doubt: true, says: "correct the region",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			target, count := serve(t, tc.answer)
			for _, want := range []s3probe.Want{readOnly, writeOnly} {
				count.Store(0)
				got, err := s3probe.Ask(t.Context(), target, someKeys, want)
				e := provider.AsError(err)
				if got != "" || e.Code != tc.code || provider.InDoubt(err) != tc.doubt || e.RetryAfter != tc.wait {
					t.Errorf("got %q, %s, in doubt %t, wait %s; want %s, %t, %s (%v)", got, e.Code, provider.InDoubt(err), e.RetryAfter, tc.code, tc.doubt, tc.wait, err)
				}
				if !strings.Contains(e.Message, tc.says) || strings.Contains(e.Message, rawText) || strings.Contains(e.Message, canary) {
					t.Errorf("message %q, want one with %q and nothing raw", e.Message, tc.says)
				}
				if n := count.Load(); n < 1 || n > 2 {
					t.Errorf("sent %d requests, want 1 or 2", n)
				}
			}
		})
	}
}

// TestNoListIsUnclear: what answers everything with success is no S3 server.
func TestNoListIsUnclear(t *testing.T) {
	for name, body := range map[string]string{"nothing": "", "other XML": "<ok/>", "text": rawText} {
		t.Run(name, func(t *testing.T) {
			target, _ := serve(t, answer{status: 200, body: body, header: http.Header{"Content-Type": {"application/xml"}}})
			got, err := s3probe.Ask(t.Context(), target, someKeys, readOnly)
			if got != "" || !provider.InDoubt(err) || strings.Contains(provider.AsError(err).Message, rawText) {
				t.Errorf("got %q, %v; want an error in doubt", got, err)
			}
		})
	}
}

// TestOtherContentIsUnclear: a server that reads back something else.
func TestOtherContentIsUnclear(t *testing.T) {
	w := open(t)
	keys := w.keys(t, kloudbeansim.ReadWrite)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, s3probe.Prefix) {
			_, _ = rw.Write([]byte(rawText))
			return
		}
		w.Handler().ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.target.Endpoint = server.URL
	found, err := s3probe.Probe(t.Context(), w.target, keys, readWrite)
	if !provider.InDoubt(err) || strings.Contains(provider.AsError(err).Message, rawText) {
		t.Errorf("got %+v, %v; want an error in doubt", found, err)
	}
	if objects := w.Objects(bucket); len(objects) != 0 || found.Left != "" {
		t.Errorf("left in the bucket: %q, said to be left: %q", objects, found.Left)
	}
}

func TestProbeEndsWithItsContext(t *testing.T) {
	w := open(t)
	keys := w.keys(t, kloudbeansim.ReadWrite)
	hanging, restore := w.Faults().Hang()
	defer restore()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-hanging; cancel() }()
	_, err := s3probe.Probe(ctx, w.target, keys, readWrite)
	if e := provider.AsError(err); !provider.InDoubt(err) || !strings.Contains(e.Message, "canceled") {
		t.Errorf("got %v, want an error in doubt that says that it was canceled", err)
	}
}

func TestObjectLeftByALostDeletionIsNamed(t *testing.T) {
	w := open(t)
	keys := w.keys(t, kloudbeansim.ReadWrite)
	restore := w.Faults().Interrupt(3) // list, put, get
	found, err := s3probe.Probe(t.Context(), w.target, keys, readWrite)
	restore()
	if !provider.InDoubt(err) || !strings.HasPrefix(found.Left, s3probe.Prefix) {
		t.Errorf("got %+v, %v; want an error in doubt and the object that is left", found, err)
	}
}
