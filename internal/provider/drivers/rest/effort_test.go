package rest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/drivers/rest"
)

// The limit is for all expressions of one response, because the process reads few responses at once.
func TestExpressionCostPerAnswerIsLimited(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"items": [` + strings.Repeat(`{"name": "a", "id": "b"}, `, 10_000) + `{"name": "a", "id": "b"}]}`))
	}))
	defer server.Close()
	ten := func(of string) string { return "[0,1,2,3,4,5,6,7,8,9].exists(x, " + of + ")" }
	slow := ten(ten(ten(ten("x == 10")))) + ` ? "" : item.id`
	for name, c := range map[string]struct {
		id, want string
	}{
		"ordinary": {`item.id.trim() + "-" + (item.?kind.orValue("key"))`, ""},
		"slow":     {slow, "takes too long"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := rest.New().Connect(t.Context(), provider.Config{HTTP: http.DefaultClient, Settings: rest.Settings{
				BaseURL:    server.URL,
				Mint:       v1alpha1.RestMint{RestRequest: v1alpha1.RestRequest{Path: "/keys", Body: `{"name": {{ .name }}, "s": {{ .scopes }}}`}, Secret: map[string]v1alpha1.RestExpression{"TOKEN": "item.token"}},
				List:       v1alpha1.RestList{RestRequest: v1alpha1.RestRequest{Path: "/keys"}, Items: "body.items"},
				Revoke:     v1alpha1.RestRequest{Path: "/keys/{{ .id }}"},
				Credential: v1alpha1.RestCredential{ID: v1alpha1.RestExpression(c.id), Name: "item.name"},
			}})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
