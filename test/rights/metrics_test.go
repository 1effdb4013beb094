package rights

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/test/support/fake"
)

// tokenOf creates a service account and returns a token of it.
func tokenOf(t *testing.T, c client.Client, namespace, name string) string {
	t.Helper()
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	create(t, c, sa)
	request := &authenticationv1.TokenRequest{}
	ok(t, c.SubResource("token").Create(t.Context(), sa, request))
	return request.Status.Token
}

// scrape reads the metrics as Prometheus does. An empty token is left out.
func scrape(t *testing.T, scheme, address, token string) (status int, body string, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+address+"/metrics", nil)
	ok(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	// The operator's certificate is self-signed.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

// answers waits until a scrape returns a status, and returns the body.
func answers(t *testing.T, scheme, address, token string, want int) string {
	t.Helper()
	var got string
	eventually(t, func() error {
		status, body, err := scrape(t, scheme, address, token)
		got = body
		if err == nil && status != want {
			return fmt.Errorf("the status of a scrape is %d: %s", status, body[:min(len(body), 200)])
		}
		return err
	})
	return got
}

// canScrape checks that the shipped metrics reader role can read the metrics of the leader.
func canScrape(t *testing.T, c client.Client, own, address string) {
	t.Helper()
	token := tokenOf(t, c, own, "prometheus")
	create(t, c, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: own + "-prometheus"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "apitoken-operator-metrics-reader-" + own},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: own, Name: "prometheus"}}})
	if body := answers(t, "https", address, token, http.StatusOK); !strings.Contains(body, "go_goroutines") {
		t.Errorf("the metrics are %d bytes", len(body))
	}
}

func TestMetricsRequireTheRightToReadThem(t *testing.T) {
	c := admin(t)
	own := namespace(t, c, nil)
	installed(t, c, own)
	address := address(t)
	run(t, env.AsServiceAccount(own, account), operator.Options{Registry: drivers(t, fake.NewBackend(clock.NewReal())), Namespace: own, ClusterIdentity: own,
		MetricsAddress: address, MetricsSecure: true, MetricsAuth: true})
	answers(t, "https", address, "", http.StatusUnauthorized)
	answers(t, "https", address, "no-token-of-this-cluster", http.StatusInternalServerError) // controller-runtime's answer to an invalid token
	answers(t, "https", address, tokenOf(t, c, own, "unprivileged"), http.StatusForbidden)
	answers(t, "http", address, "", http.StatusBadRequest)
	canScrape(t, c, own, address)
}

func TestMetricsAuthRequiresTLS(t *testing.T) {
	_, err := operator.New(t.Context(), env.Config, operator.Options{Registry: drivers(t, fake.NewBackend(clock.NewReal())), MetricsAuth: true})
	if err == nil || !strings.Contains(err.Error(), "MetricsSecure") {
		t.Errorf("got %v", err)
	}
}
