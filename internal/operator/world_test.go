package operator

import (
	"context"
	"net"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/repofile"
	"apitoken.dev/operator/test/support/testenv"
)

var env *testenv.Env

func TestMain(m *testing.M) { os.Exit(testenv.Main(m, &env)) }

// run runs an operator until stop is called.
func run(k *kit.Kit, cfg *rest.Config, o Options) (stop func()) {
	k.Helper()
	return k.Run(func(ctx context.Context) error { return Run(ctx, cfg, o) })
}

// clusterProvider creates a working ClusterTokenProvider for the namespaces whose label
// tokens is the operator's namespace.
func clusterProvider(k *kit.Kit, operator string) *v1alpha1.ClusterTokenProvider {
	k.Helper()
	p := kit.ClusterTokenProvider(operator, map[string]string{"tokens": operator})
	k.ExpectApplied(kit.Minter(operator, kit.MinterToken), p)
	return p
}

func apiToken(namespace, provider string) *v1alpha1.ApiToken {
	return kit.ApiToken(namespace, "t", kit.OfCluster(provider))
}

// asInstalled installs the permissions of config/rbac and returns a client configuration of
// their service account.
func asInstalled(k *kit.Kit, namespace string) *rest.Config {
	k.Helper()
	k.ExpectApplied(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	for _, name := range []string{"service_account", "role", "role_binding", "leader_election_role", "leader_election_role_binding"} {
		o := &unstructured.Unstructured{}
		k.OK(yaml.Unmarshal([]byte(repofile.Read(k, "config/rbac/"+name+".yaml")), &o.Object))
		k.ExpectApplied(o)
	}
	return env.AsServiceAccount(namespace, Name)
}

// address returns an address without a listener.
func address(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
