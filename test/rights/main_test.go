package rights

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/testenv"
)

var env *testenv.Env

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(testenv.Main(m, &env, testenv.WithAudit(), testenv.WithControllerManager()))
}

// newKit returns a Kit that shows all ApiTokens when an expectation fails.
func newKit(t *testing.T) *kit.Kit {
	t.Helper()
	k := kit.New(t, env)
	k.Dump = func() string {
		var tokens v1alpha1.ApiTokenList
		if err := k.List(t.Context(), &tokens); err != nil {
			return err.Error()
		}
		var all strings.Builder
		for i := range tokens.Items {
			fmt.Fprintf(&all, "%s/%s: %+v\n", tokens.Items[i].Namespace, tokens.Items[i].Name, tokens.Items[i].Status)
		}
		return all.String()
	}
	return k
}

// as returns a client with the rights of a service account and no others.
func as(k *kit.Kit, namespace, account string) client.Client {
	k.Helper()
	c, err := client.New(env.AsServiceAccount(namespace, account), client.Options{Scheme: kit.Scheme()})
	k.OK(err)
	return c
}

// manualBucket is a bucket whose credentials are manual.
const manualBucket = "manual"

// drivers returns a registry with the fake driver, which has a form for manualBucket.
func drivers(k *kit.Kit, b *fake.Backend) *registry.Registry {
	k.Helper()
	d := fake.New(b)
	d.ManualForm = func(req provider.MintRequest) (provider.Form, bool) {
		return provider.Form{Where: "Panel > Add", Revoke: "Panel > Delete", Keys: []string{fake.KeyID, fake.KeySecret},
			Fields: []provider.FormField{{Label: "Bucket", Value: manualBucket}}}, req.Grant.Buckets[0] == manualBucket
	}
	return kit.Drivers(k, d)
}

// run starts an operator and returns a function that stops it.
func run(k *kit.Kit, cfg *rest.Config, o operator.Options) (stop func()) {
	k.Helper()
	return k.Run(func(ctx context.Context) error { return operator.Run(ctx, cfg, o) })
}

// address returns an unused address.
func address(k *kit.Kit) string {
	k.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	k.OK(err)
	defer l.Close()
	return l.Addr().String()
}

// clusterProvider returns a provider that admits the namespaces with the label tokens=NAME.
func clusterProvider(name string) *v1alpha1.ClusterTokenProvider {
	return kit.ClusterTokenProvider(name, map[string]string{"tokens": name})
}
