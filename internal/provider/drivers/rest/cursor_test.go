package rest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
	"apitoken.dev/operator/internal/provider/drivers/rest"
)

// library is a server whose list has one key per page. Only a marker from a response leads to the next
// page.
type library struct {
	pages int
	// names of the operator's keys by page, from 1. The keys of other pages belong to others.
	names map[int]string
	// epoch is part of every marker. Markers of another epoch are rejected.
	epoch string
	asked int
}

func (l *library) RoundTrip(r *http.Request) (*http.Response, error) {
	l.asked++
	page := 1
	status := http.StatusOK
	if mark := r.URL.Query().Get("mark"); mark != "" {
		epoch, number, _ := strings.Cut(mark, " ")
		n, err := strconv.Atoi(number)
		if page = n; err != nil || epoch != l.epoch {
			status = http.StatusBadRequest
		}
	}
	name := l.names[page]
	if name == "" {
		name = fmt.Sprint("another client ", page)
	}
	next := "null"
	if page < l.pages {
		next = fmt.Sprintf(`"%s %d"`, l.epoch, page+1)
	}
	body := fmt.Sprintf(`{"keys": [{"id": "%d", "name": %q}], "next": %s}`, page, name, next)
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func (l *library) connect(t *testing.T) provider.Client {
	t.Helper()
	s := rest.Settings{
		BaseURL:    "https://vendor.example.com",
		Credential: v1alpha1.RestCredential{ID: "item.id", Name: "item.name"},
		Mint:       v1alpha1.RestMint{RestRequest: v1alpha1.RestRequest{Path: "/keys", Body: `{"name": {{ .name }}, "p": {{ .permissions }}}`}, Secret: map[string]v1alpha1.RestExpression{"token": "item.token"}},
		List: v1alpha1.RestList{RestRequest: v1alpha1.RestRequest{Path: "/keys", Query: map[string]v1alpha1.RestTemplate{"mark": "{{ .page }}"}},
			Items: "body.keys", Next: `body.next == null ? "" : body.next`},
		Revoke: v1alpha1.RestRequest{Path: "/keys/{{ .id }}"},
	}
	d := bounded.Driver(rest.New().For(s), bounded.Options{})
	client, _, err := d.Connect(t.Context(), provider.Config{Settings: s, Cluster: cluster, HTTP: &http.Client{Transport: l}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// part lists the keys of an owner from a cursor.
func part(t *testing.T, client provider.Client, owner provider.Owner, c *provider.Cursor) (names []string, err error) {
	t.Helper()
	for credential, err := range client.List(provider.WithCursor(t.Context(), c), owner) {
		if err != nil {
			return names, err
		}
		names = append(names, credential.Name)
	}
	return names, nil
}

// A list of 2,500 pages is cut twice. Its third part has the last page.
func TestLongListContinuesAtItsCursor(t *testing.T) {
	orphan := mintRequest(t, provider.Grant{}).Name
	l := &library{pages: 2500, names: map[int]string{2500: orphan}, epoch: "e"}
	client := l.connect(t)
	all := provider.Owner{Cluster: cluster}
	marker := ""
	for _, want := range []string{"1001 e 1001", "2001 e 2001"} {
		c := provider.NewCursor(marker)
		if names, err := part(t, client, all, c); !errors.Is(err, provider.ErrCut) || names != nil || c.Next() != want {
			t.Fatalf("from %q: %v, %v, next %q", marker, names, err, c.Next())
		}
		marker = c.Next()
	}
	before := l.asked
	c := provider.NewCursor(marker)
	if names, err := part(t, client, all, c); err != nil || len(names) != 1 || names[0] != orphan || c.Next() != "" || l.asked-before != 500 {
		t.Errorf("from %q: %v, %v, next %q, %d requests", marker, names, err, c.Next(), l.asked-before)
	}
	// A list for one ApiToken must be complete, so it ignores the cursor.
	one := provider.NewCursor("2500 e 2500")
	owner := provider.Owner{Cluster: cluster, Namespace: "ml", Token: "training"}
	if names, err := part(t, client, owner, one); err == nil || names != nil || one.Next() != "" {
		t.Errorf("the list of one Token: %v, %v, next %q", names, err, one.Next())
	}
}

// An expired marker is an error other than ErrCut. An invalid marker starts at the
// first page.
func TestExpiredMarkerIsAnError(t *testing.T) {
	l := &library{pages: 3, names: map[int]string{3: mintRequest(t, provider.Grant{}).Name}, epoch: "new"}
	client := l.connect(t)
	all := provider.Owner{Cluster: cluster}
	c := provider.NewCursor("2 old 2")
	if names, err := part(t, client, all, c); err == nil || errors.Is(err, provider.ErrCut) || names != nil || c.Next() != "" {
		t.Errorf("an old marker: %v, %v, next %q", names, err, c.Next())
	}
	for _, marker := range []string{"", "x", "2", "x new 2", "2 "} {
		before := l.asked
		if names, err := part(t, client, all, provider.NewCursor(marker)); err != nil || len(names) != 1 || l.asked-before != 3 {
			t.Errorf("from %q: %v, %v, %d requests", marker, names, err, l.asked-before)
		}
	}
}
