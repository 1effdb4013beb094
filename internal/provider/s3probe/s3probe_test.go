package s3probe_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/s3probe"
	"apitoken.dev/operator/test/support/simulate/kloudbeansim"
)

const bucket = "datasets"

var (
	readOnly  = s3probe.Want{Read: true}
	writeOnly = s3probe.Want{Write: true}
	readWrite = s3probe.Want{Read: true, Write: true, Delete: true}
)

// world is an S3 server and a bucket on it.
type world struct {
	*kloudbeansim.Simulator
	target s3probe.Target
}

func open(t *testing.T) *world {
	t.Helper()
	w := &world{Simulator: kloudbeansim.New(clock.NewReal().Now, bucket, "other")}
	server := httptest.NewServer(w.Handler())
	t.Cleanup(server.Close)
	w.target = s3probe.Target{
		Endpoint: server.URL, Region: "us-east-1", Bucket: bucket, HTTP: server.Client(), UserAgent: "apitoken-operator/test",
	}
	return w
}

// keys makes a key with a permission.
func (w *world) keys(t *testing.T, permission string) s3probe.Keys {
	t.Helper()
	made, err := w.AddToken(t.Context(), kloudbeansim.Form{TokenName: "test", Permission: permission, Bucket: bucket})
	if err != nil {
		t.Fatal(err)
	}
	return s3probe.Keys{ID: provider.NewValue(made.AccessKeyID), Secret: made.SecretAccessKey}
}

// TestProbeFindsWhatAKeyAllows probes every permission for every want, and looks at what is left.
func TestProbeFindsWhatAKeyAllows(t *testing.T) {
	const yes, no = s3probe.Allowed, s3probe.Denied
	left := []string{s3probe.WriteOnlyKey}
	cases := map[string]struct {
		permission string
		want       s3probe.Want
		found      s3probe.Finding
		objects    []string
	}{
		"read-only as wanted":            {kloudbeansim.ReadOnly, readOnly, s3probe.Finding{List: yes, Put: no}, nil},
		"read-only that reads only":      {kloudbeansim.WriteOnly, readOnly, s3probe.Finding{List: no}, nil},
		"read-only that may write":       {kloudbeansim.ReadWrite, readOnly, s3probe.Finding{List: yes, Put: yes}, nil},
		"write-only as wanted":           {kloudbeansim.WriteOnly, writeOnly, s3probe.Finding{List: no, Put: yes, Get: no, Left: s3probe.WriteOnlyKey}, left},
		"write-only that may list":       {kloudbeansim.ReadWrite, writeOnly, s3probe.Finding{List: yes}, nil},
		"write-only that reads instead":  {kloudbeansim.ReadOnly, writeOnly, s3probe.Finding{List: yes}, nil},
		"read-write as wanted":           {kloudbeansim.ReadWrite, readWrite, s3probe.Finding{List: yes, Put: yes, Get: yes, Delete: yes}, nil},
		"read-write that may not write":  {kloudbeansim.ReadOnly, readWrite, s3probe.Finding{List: yes, Put: no}, nil},
		"read-write that may only write": {kloudbeansim.WriteOnly, readWrite, s3probe.Finding{List: no}, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			got, err := s3probe.Probe(t.Context(), w.target, w.keys(t, tc.permission), tc.want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.found, got); diff != "" {
				t.Errorf("finding (-want +got):\n%s", diff)
			}
			if got.Failed() != "" {
				t.Errorf("Failed: got %s, want none", got.Failed())
			}
			if objects := w.Objects(bucket); strings.Join(objects, " ") != strings.Join(tc.objects, " ") {
				t.Errorf("left in the bucket: got %q, want %q", objects, tc.objects)
			}
		})
	}
}

// TestWriteOnlyLeavesOneObject probes several times.
func TestWriteOnlyLeavesOneObject(t *testing.T) {
	w := open(t)
	keys := w.keys(t, kloudbeansim.WriteOnly)
	for range 3 {
		if _, err := s3probe.Probe(t.Context(), w.target, keys, writeOnly); err != nil {
			t.Fatal(err)
		}
		if answer, err := s3probe.Ask(t.Context(), w.target, keys, writeOnly); answer != s3probe.Allowed || err != nil {
			t.Fatalf("Ask: got %s, %v", answer, err)
		}
	}
	if diff := cmp.Diff([]string{s3probe.WriteOnlyKey}, w.Objects(bucket)); diff != "" {
		t.Errorf("left in the bucket (-want +got):\n%s", diff)
	}
}

// The server rejects every request of these keys.
func TestRejectedKeysAreClassified(t *testing.T) {
	cases := map[string]struct {
		change func(w *world, k *s3probe.Keys)
		want   s3probe.Answer
	}{
		"deleted":      {func(w *world, k *s3probe.Keys) { _ = w.Delete(t.Context(), k.ID.Reveal()) }, s3probe.UnknownKey},
		"never made":   {func(_ *world, k *s3probe.Keys) { k.ID = provider.NewValue("KB404") }, s3probe.UnknownKey},
		"wrong secret": {func(_ *world, k *s3probe.Keys) { k.Secret = provider.NewValue("another") }, s3probe.WrongSecret},
		"other bucket": {func(w *world, _ *s3probe.Keys) { w.target.Bucket = "other" }, s3probe.Denied},
		"no bucket":    {func(w *world, _ *s3probe.Keys) { w.target.Bucket = "missing" }, s3probe.NoBucket},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			keys := w.keys(t, kloudbeansim.ReadWrite)
			tc.change(w, &keys)
			found, err := s3probe.Probe(t.Context(), w.target, keys, readWrite)
			if err != nil || found != (s3probe.Finding{List: tc.want}) {
				t.Errorf("Probe: got %+v, %v; want %s and no further request", found, err, tc.want)
			}
			if want := map[bool]s3probe.Answer{false: tc.want}[tc.want == s3probe.Denied]; found.Failed() != want {
				t.Errorf("Failed: got %q, want %q", found.Failed(), want)
			}
			for _, want := range []s3probe.Want{readOnly, writeOnly} {
				if got, err := s3probe.Ask(t.Context(), w.target, keys, want); got != tc.want || err != nil {
					t.Errorf("Ask(%+v): got %s, %v; want %s", want, got, err, tc.want)
				}
			}
		})
	}
}

// TestProbeSendsTheseRequests holds the wire format.
func TestProbeSendsTheseRequests(t *testing.T) {
	cases := map[string]struct {
		permission string
		want       s3probe.Want
		requests   []string
	}{
		"read-only":  {kloudbeansim.ReadOnly, readOnly, []string{"GET /datasets?list-type=2&max-keys=1", "PUT /datasets/.apitoken-probe/*?x-id=PutObject"}},
		"write-only": {kloudbeansim.WriteOnly, writeOnly, []string{"GET /datasets?list-type=2&max-keys=1", "PUT /datasets/.apitoken-probe/write-only?x-id=PutObject", "GET /datasets/.apitoken-probe/write-only?x-id=GetObject", "DELETE /datasets/.apitoken-probe/write-only?x-id=DeleteObject"}},
		"read-write": {kloudbeansim.ReadWrite, readWrite, []string{"GET /datasets?list-type=2&max-keys=1", "PUT /datasets/.apitoken-probe/*?x-id=PutObject", "GET /datasets/.apitoken-probe/*?x-id=GetObject", "DELETE /datasets/.apitoken-probe/*?x-id=DeleteObject"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			keys := w.keys(t, tc.permission)
			if _, err := s3probe.Probe(t.Context(), w.target, keys, tc.want); err != nil {
				t.Fatal(err)
			}
			var got []string
			objects := map[string]bool{}
			for _, r := range w.Requests() {
				path := r.Path
				if object, ok := strings.CutPrefix(path, "/datasets/"+s3probe.Prefix); ok && "/datasets/"+s3probe.WriteOnlyKey != path {
					objects[object] = true
					path = "/datasets/" + s3probe.Prefix + "*"
				}
				got = append(got, r.Method+" "+path+"?"+r.Query)
				if r.AccessKeyID != keys.ID.Reveal() || !strings.Contains(r.UserAgent, "apitoken-operator/test") {
					t.Errorf("%s: signed by %q, user agent %q", r.Path, r.AccessKeyID, r.UserAgent)
				}
				if (r.Method == http.MethodPut) != strings.Contains(r.Body, "apitoken-operator") {
					t.Errorf("%s %s has the body %q", r.Method, r.Path, r.Body)
				}
			}
			if diff := cmp.Diff(tc.requests, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if len(objects) > 1 {
				t.Errorf("one probe used several objects: %v", objects)
			}
		})
	}
}

// TestReachAcceptsAnyAnswerAndSignsNothing accepts every answer but a failure of the server, and signs nothing.
func TestReachAcceptsAnyAnswerAndSignsNothing(t *testing.T) {
	w := open(t)
	if err := s3probe.Reach(t.Context(), w.target); err != nil {
		t.Errorf("a server that denies: %v", err)
	}
	for _, r := range w.Requests() {
		if r.AccessKeyID != "" || r.Method != http.MethodGet || r.UserAgent != "apitoken-operator/test" {
			t.Errorf("sent %+v, want one GET without a signature", r)
		}
	}
	for status, ok := range map[int]bool{200: true, 307: true, 404: true, 500: false, 503: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		}))
		err := s3probe.Reach(t.Context(), s3probe.Target{Endpoint: server.URL, HTTP: server.Client()})
		server.Close()
		if (err == nil) != ok {
			t.Errorf("status %d: got %v", status, err)
		}
	}
	nowhere := httptest.NewServer(http.NotFoundHandler())
	nowhere.Close()
	var e *provider.Error
	if err := s3probe.Reach(t.Context(), s3probe.Target{Endpoint: nowhere.URL, HTTP: nowhere.Client()}); !errors.As(err, &e) || e.Code != provider.CodeUnavailable {
		t.Errorf("no server: got %v, want %s", err, provider.CodeUnavailable)
	}
}
