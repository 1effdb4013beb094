//go:build linux && !race

package memory

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// cases are the hostile answers, by name.
var cases = map[string]http.HandlerFunc{
	"gzip": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb())
	},
	"endless": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		repeat(w, `{"error":"`, strings.Repeat("x", 64<<10))
	},
	"amplify": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"a":%q,"keys":[]}`, strings.Repeat("a", 100<<10))
	},
	"values": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"keys":[`+strings.Repeat("{},", 300<<10)+`{}],"a":""}`)
	},
	"pages": func(w http.ResponseWriter, _ *http.Request) {
		page := strings.Repeat(`{"id":"1","name":"somebody's"},`, 20<<10)
		_, _ = io.WriteString(w, `{"next":"more","a":"","keys":[`+page+`{"id":"1","name":"somebody's"}]}`)
	},
	"headers": func(w http.ResponseWriter, _ *http.Request) {
		for i := range 1000 {
			w.Header().Set("X-"+strconv.Itoa(i), strings.Repeat("x", 900))
		}
		_, _ = io.WriteString(w, `{"keys":[]}`)
	},
	// For the aws driver: endless XML, and no body where an element is expected.
	"aws-endless": func(w http.ResponseWriter, _ *http.Request) { repeat(w, "<ListUsersResponse>", "<member><a>") },
	"aws-nothing": func(http.ResponseWriter, *http.Request) {},
}

// repeat writes a text until the client has enough of it.
func repeat(w io.Writer, begin, text string) {
	block := []byte(strings.Repeat(text, 1+(64<<10)/len(text)))
	_, err := io.WriteString(w, begin)
	for err == nil {
		_, err = w.Write(block)
	}
}

// bomb is 1 GiB of spaces, compressed to 1 MiB.
var bomb = sync.OnceValue(func() []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	block := bytes.Repeat([]byte(" "), 1<<20)
	for range 1 << 10 {
		_, _ = z.Write(block) // a buffer takes everything
	}
	_ = z.Close()
	return out.Bytes()
})

// provider serves all cases, each under /<case>/<number>. Its answers are correct until
// it is hostile.
type provider struct {
	mu      sync.Mutex
	hostile bool
	// waiting counts the hostile answers; they are held until needed calls wait for one.
	waiting, needed int
	open            chan struct{}
	// attacked are the providers that got a hostile answer, by case.
	attacked map[string]map[string]bool
}

func newProvider(needed int) *provider {
	return &provider{needed: needed, open: make(chan struct{}), attacked: map[string]map[string]bool{}}
}

// attack makes every later answer hostile.
func (p *provider) attack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hostile = true
}

// spared returns the first case of which fewer than n providers were attacked.
func (p *provider) spared(n int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name := range cases {
		if got := len(p.attacked[name]); got < n {
			return fmt.Sprintf("%d of %d providers of the case %s had a request, and %d calls waited", got, n, name, p.waiting)
		}
	}
	return ""
}

// ServeHTTP implements http.Handler.
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.SplitN(r.URL.Path, "/", 4)
	name, number := parts[1], parts[2]
	if err := r.ParseForm(); err != nil {
		return
	}
	p.mu.Lock()
	hostile := p.hostile
	if hostile {
		if p.attacked[name] == nil {
			p.attacked[name] = map[string]bool{}
		}
		p.attacked[name][number] = true
		p.waiting++
		if p.waiting == p.needed {
			close(p.open)
		}
	}
	p.mu.Unlock()
	if !hostile {
		answer(w, r, name+number)
		return
	}
	select {
	case <-p.open:
	case <-r.Context().Done():
		return
	}
	w.Header().Set("Content-Type", "application/json")
	cases[name](w, r)
}

// answer answers the checks of a connection. Each provider has its own account number.
func answer(w http.ResponseWriter, r *http.Request, account string) {
	switch r.Form.Get("Action") {
	case "GetCallerIdentity":
		_, _ = fmt.Fprintf(w, "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>%s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>", account)
	case "ListUsers":
		_, _ = io.WriteString(w, "<ListUsersResponse><ListUsersResult><Users/><IsTruncated>false</IsTruncated></ListUsersResult></ListUsersResponse>")
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"id":%q,"a":"","keys":[]}`, account)
	}
}
