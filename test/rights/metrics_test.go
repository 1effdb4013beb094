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

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
)

// tokenOf creates a service account and returns a token of it.
func tokenOf(k *kit.Kit, namespace, name string) string {
	k.Helper()
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	k.ExpectApplied(sa)
	request := &authenticationv1.TokenRequest{}
	k.OK(k.SubResource("token").Create(k.Context(), sa, request))
	return request.Status.Token
}

// scrape reads the metrics as Prometheus does. An empty token is left out.
func scrape(k *kit.Kit, scheme, address, token string) (status int, body string, err error) {
	k.Helper()
	req, err := http.NewRequestWithContext(k.Context(), http.MethodGet, scheme+"://"+address+"/metrics", nil)
	k.OK(err)
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
func answers(k *kit.Kit, scheme, address, token string, want int) string {
	k.Helper()
	var got string
	k.Eventually(func() error {
		status, body, err := scrape(k, scheme, address, token)
		got = body
		if err == nil && status != want {
			return fmt.Errorf("the status of a scrape is %d: %s", status, body[:min(len(body), 200)])
		}
		return err
	})
	return got
}

// canScrape checks that the shipped metrics reader role can read the metrics of the leader.
func canScrape(k *kit.Kit, own, address string) {
	k.Helper()
	token := tokenOf(k, own, "prometheus")
	k.ExpectApplied(&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: own + "-prometheus"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "apitoken-operator-metrics-reader-" + own},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: own, Name: "prometheus"}}})
	if body := answers(k, "https", address, token, http.StatusOK); !strings.Contains(body, "go_goroutines") {
		k.Errorf("the metrics are %d bytes", len(body))
	}
}

func TestMetricsRequireTheRightToReadThem(t *testing.T) {
	k := newKit(t)
	own := k.Namespace("rights", nil)
	installed(k, own)
	address := address(k)
	run(k, env.AsServiceAccount(own, account), operator.Options{Registry: drivers(k, fake.NewBackend(clock.NewReal())), Namespace: own, ClusterIdentity: own,
		MetricsAddress: address, MetricsSecure: true, MetricsAuth: true})
	answers(k, "https", address, "", http.StatusUnauthorized)
	answers(k, "https", address, "no-token-of-this-cluster", http.StatusInternalServerError) // controller-runtime's answer to an invalid token
	answers(k, "https", address, tokenOf(k, own, "unprivileged"), http.StatusForbidden)
	answers(k, "http", address, "", http.StatusBadRequest)
	canScrape(k, own, address)
}

func TestMetricsAuthRequiresTLS(t *testing.T) {
	k := newKit(t)
	_, err := operator.New(k.Context(), env.Config, operator.Options{Registry: drivers(k, fake.NewBackend(clock.NewReal())), MetricsAuth: true})
	if err == nil || !strings.Contains(err.Error(), "MetricsSecure") {
		k.Errorf("got %v", err)
	}
}
