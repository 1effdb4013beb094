package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/testenv"
)

// accountToken is the lifetime of the operator's token: longer than any demo runs.
const accountToken = 7 * 24 * time.Hour

// cluster is a control plane and its administrator's clients.
type cluster struct {
	client.Client
	env  *testenv.Env
	http *http.Client
}

// startCluster starts a control plane, and returns a function that stops it.
func startCluster() (*cluster, func(), error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, nil, err
		}
	}
	env, stop, err := testenv.StartMain(testenv.WithControllerManager())
	if err != nil {
		return nil, nil, err
	}
	web, err := rest.HTTPClientFor(env.Config)
	if err != nil {
		stop()
		return nil, nil, err
	}
	return &cluster{Client: env.Client(scheme), env: env, http: web}, stop, nil
}

// get asks the API server as kubectl get --raw does.
func (c *cluster) get(ctx context.Context, path, accept string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.env.Config.Host, "/")+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", accept)
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", path, res.Status, body)
	}
	return json.Unmarshal(body, into)
}

// version returns the version of the API server.
func (c *cluster) version(ctx context.Context) (string, error) {
	var answer struct{ GitVersion string }
	err := c.get(ctx, "/version", "application/json", &answer)
	return answer.GitVersion, err
}

// table returns the output of kubectl get, with the columns of the API server.
func (c *cluster) table(ctx context.Context, path string) (string, error) {
	table := &metav1.Table{}
	if err := c.get(ctx, path, "application/json;as=Table;v=v1;g=meta.k8s.io", table); err != nil {
		return "", err
	}
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 3, ' ', 0)
	row := func(cell func(column int) string) {
		cells := []string{}
		for i := range table.ColumnDefinitions {
			if table.ColumnDefinitions[i].Priority == 0 {
				cells = append(cells, cell(i))
			}
		}
		_, _ = fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	row(func(i int) string { return strings.ToUpper(table.ColumnDefinitions[i].Name) })
	for _, r := range table.Rows {
		row(func(i int) string { return fmt.Sprint(r.Cells[i]) })
	}
	err := w.Flush()
	return out.String(), err
}

// apply does what kubectl apply --server-side does.
func (c *cluster) apply(ctx context.Context, objects ...*unstructured.Unstructured) error {
	for _, o := range objects {
		if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(o.DeepCopy()), client.FieldOwner("kubectl")); err != nil {
			return fmt.Errorf("applying %s %s: %w", o.GetKind(), o.GetName(), err)
		}
	}
	return nil
}

// as returns a configuration with a token of a ServiceAccount, as in a pod.
func (c *cluster) as(ctx context.Context, namespace, name string) (*rest.Config, error) {
	seconds := int64(accountToken / time.Second)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := c.SubResource("token").Create(ctx, account, request); err != nil {
		return nil, fmt.Errorf("asking for a token of ServiceAccount %s: %w", name, err)
	}
	return &rest.Config{
		Host: c.env.Config.Host, BearerToken: request.Status.Token,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.env.Config.CAData},
	}, nil
}

// writeKubeconfig writes a configuration with a token to a file.
func writeKubeconfig(file string, cfg *rest.Config) error {
	const name = "demo"
	return clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{name: {Server: cfg.Host, CertificateAuthorityData: cfg.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {Token: cfg.BearerToken}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}, file)
}

// writeAdminKubeconfig writes the administrator's configuration to a file.
func (c *cluster) writeAdminKubeconfig(file string) error {
	return os.WriteFile(file, c.env.Kubeconfig, 0o600)
}
