package testutil

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Request is one kind of request to an API server.
type Request struct {
	// Verb is get, list, watch, create, update, patch or delete.
	Verb string
	// Resource is the plural name, with "/" and the subresource if there is one, and with
	// ":" and the name for an object in Requests.Apart.
	Resource string
	// DryRun requests change nothing.
	DryRun bool
}

// String returns, for example, "update apitokens/status".
func (r Request) String() string {
	if r.DryRun {
		return r.Verb + " " + r.Resource + " (dry run)"
	}
	return r.Verb + " " + r.Resource
}

// Write reports whether the request changes something.
func (r Request) Write() bool { return !r.Read() && r.Verb != "watch" && r.Verb != "list" && !r.DryRun }

// Read reports whether the request reads one object.
func (r Request) Read() bool { return r.Verb == "get" }

// Requests counts the requests that go through it, except those for events, leases and
// discovery. It is safe for concurrent use.
type Requests struct {
	// Apart lists the names of objects that are counted separately. Set it before use.
	Apart []string

	mu     sync.Mutex
	counts Counts
}

// Counts are numbers of requests.
type Counts map[Request]int

// Wrap returns a transport that counts its requests. Pass it to rest.Config.Wrap.
func (r *Requests) Wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		if request, ok := r.parse(req); ok {
			r.mu.Lock()
			if r.counts == nil {
				r.counts = Counts{}
			}
			r.counts[request]++
			r.mu.Unlock()
		}
		return next.RoundTrip(req)
	})
}

// Take returns the requests since the last call of Take.
func (r *Requests) Take() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.counts
	r.counts = nil
	return taken
}

// Of returns the counts of some resources, subresources included.
func (c Counts) Of(resources ...string) Counts {
	out := maps.Clone(c)
	maps.DeleteFunc(out, func(r Request, _ int) bool {
		resource, _, _ := strings.Cut(r.Resource, "/")
		return !slices.Contains(resources, resource)
	})
	return out
}

// Writes returns the number of requests that change something.
func (c Counts) Writes() int { return c.sum(Request.Write) }

// Reads returns the number of requests that read one object.
func (c Counts) Reads() int { return c.sum(Request.Read) }

func (c Counts) sum(which func(Request) bool) int {
	n := 0
	for r, count := range c {
		if which(r) {
			n += count
		}
	}
	return n
}

// String lists the counts of single reads and of writes in one line.
func (c Counts) String() string {
	var out []string
	for r, n := range c {
		if r.Read() || r.Write() || r.DryRun {
			out = append(out, fmt.Sprintf("%d %s", n, r))
		}
	}
	if len(out) == 0 {
		return "nothing"
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// parse returns the kind of a request, and false if it is not counted.
func (r *Requests) parse(req *http.Request) (Request, bool) {
	path := resourcePath(strings.Split(strings.Trim(req.URL.Path, "/"), "/"))
	if len(path) == 0 {
		return Request{}, false
	}
	query, named := req.URL.Query(), len(path) > 1
	out := Request{Verb: verbs[req.Method], Resource: path[0], DryRun: query.Has("dryRun")}
	if named && slices.Contains(r.Apart, path[1]) {
		out.Resource += ":" + path[1]
	}
	if len(path) > 2 {
		out.Resource += "/" + strings.Join(path[2:], "/")
	}
	switch watch := query.Get("watch"); {
	case watch == "true" || watch == "1":
		out.Verb = "watch"
	case out.Verb == "get" && !named:
		out.Verb = "list"
	}
	return out, out.Resource != "events" && out.Resource != "leases"
}

// resourcePath is the resource, the name and the subresource of /api/v1/… or
// /apis/group/version/…, each with namespaces/name or without.
func resourcePath(parts []string) []string {
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		parts = parts[3:]
	default:
		return nil
	}
	if parts[0] == "namespaces" && len(parts) > 2 && parts[2] != "status" && parts[2] != "finalize" {
		return parts[2:]
	}
	return parts
}

var verbs = map[string]string{
	http.MethodGet: "get", http.MethodHead: "get",
	http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete",
}
