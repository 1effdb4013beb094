//go:build linux && !race

package memory

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/test/support/testutil"
)

const (
	// each is the number of providers of each case, and calls the number of calls that
	// wait for an answer at once.
	each, calls = 8, 16
	// most limits the peak memory of the operator, in KiB.
	most = 128 << 10
)

const objects = `
apiVersion: apitoken.dev/v1alpha1
kind: ClusterTokenProvider
metadata: {name: NAME}
spec:
  credentialsSecretRef: {name: minter}
  allowedNamespaces: {}
  BLOCK
`

const restBlock = `rest:
    baseURL: "@"
    headers: [{name: Authorization, value: "Bearer {{ .credentials.token }}"}]
    account: {path: /account, id: body.id}
    limits: {live: 100}
    credential: {id: item.id, name: item.name}
    mint:
      path: /keys
      body: '{"name": {{ .name }}, "permissions": {{ .permissions }}}'
      secret: {token: item.token}
    list:
      path: /keys
      items: 'size(body.a) > 0 ? [body.a.replace("", body.a)] : body.keys'
      next: 'has(body.next) ? page + 1 : 0'
    revoke: {path: "/keys/{{ .id }}"}`

const awsBlock = `aws: {iamEndpoint: "@", region: us-east-1}`

// TestHostileProvidersTakeLittleMemory runs the operator in its own process, with 8
// providers of each case and 16 calls at once, and reads its peak memory from the kernel.
func TestHostileProvidersTakeLittleMemory(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c := env.Client(scheme)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "memory-"}}
	create(t, c, ns)
	create(t, c, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "minter"},
		StringData: map[string]string{"token": "x", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"},
	})
	bomb() // computed now, so that no request waits for it
	p := newProvider(calls)
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	var names []string
	for name := range cases {
		for n := range each {
			names = append(names, fmt.Sprintf("%s-%d", name, n))
			block := restBlock
			if strings.HasPrefix(name, "aws-") {
				block = awsBlock
			}
			block = strings.ReplaceAll(block, "@", fmt.Sprintf("%s/%s/%d", server.URL, name, n))
			var o v1alpha1.ClusterTokenProvider
			if err := yaml.UnmarshalStrict([]byte(strings.NewReplacer("NAME", names[len(names)-1], "BLOCK", block).Replace(objects)), &o); err != nil {
				t.Fatal(err)
			}
			create(t, c, &o)
		}
	}
	pid := start(t, ns.Name)
	until(t, func() string { return unready(t, c, names) })
	p.attack()
	for _, name := range names {
		create(t, c, &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: name}, Spec: v1alpha1.ApiTokenSpec{
			ProviderRef: v1alpha1.ProviderReference{Kind: v1alpha1.KindClusterTokenProvider, Name: name},
			Scopes:      []v1alpha1.Scope{"objectstorage:object-read-only"}, Buckets: []v1alpha1.Bucket{"*"},
		}})
	}
	until(t, func() string { return p.spared(each) })
	until(t, func() string { return unread(t, c, ns.Name, names) })
	peak := peakOf(t, pid)
	t.Logf("%d providers of each of %d cases, %d calls at once: at most %d MiB", each, len(cases), calls, peak>>10)
	if peak > most {
		t.Errorf("the operator held %d MiB, want at most %d", peak>>10, most>>10)
	}
}

func create(t *testing.T, c client.Client, o client.Object) {
	t.Helper()
	if err := c.Create(t.Context(), o); err != nil {
		t.Fatalf("create %s: %v", o.GetName(), err)
	}
}

// start starts the operator, and checks at the end of the test that it still runs.
func start(t *testing.T, namespace string) (pid int) {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, env.Kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	var output strings.Builder
	cmd := exec.Command(os.Args[0]) // this program
	// The garbage collector is set as the chart and config/manager set it.
	cmd.Env = append(os.Environ(), kubeconfigEnv+"="+kubeconfig, namespaceEnv+"="+namespace, "GOGC=50")
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		select {
		case err := <-ended:
			t.Errorf("the operator ended: %v: %s", err, output.String())
		default:
			_, _ = cmd.Process.Signal(syscall.SIGKILL), <-ended // the error says that it was killed
		}
	})
	return cmd.Process.Pid
}

// unready returns the first provider that is not Ready.
func unready(t *testing.T, c client.Client, names []string) string {
	for _, name := range names {
		var o v1alpha1.ClusterTokenProvider
		if err := c.Get(t.Context(), client.ObjectKey{Name: name}, &o); err != nil {
			return err.Error()
		}
		if !meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionReady) {
			return fmt.Sprintf("%s is not Ready: %+v", name, o.Status.Conditions)
		}
	}
	return ""
}

// failures are the reasons of Ready after a failed call; the last one, after a failed
// health check of the provider.
var failures = map[string]bool{v1alpha1.ReasonProviderError: true, v1alpha1.ReasonBackoff: true, v1alpha1.ReasonProviderNotReady: true}

// unread returns the first ApiToken whose call has not ended, so its answer can still be
// in memory.
func unread(t *testing.T, c client.Client, namespace string, names []string) string {
	for _, name := range names {
		var o v1alpha1.ApiToken
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &o); err != nil {
			return err.Error()
		}
		if ready := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionReady); ready == nil || !failures[ready.Reason] {
			return fmt.Sprintf("the call of %s has not failed: %+v", name, o.Status)
		}
	}
	return ""
}

func until(t *testing.T, why func() string) {
	t.Helper()
	c := clock.NewReal()
	last := ""
	for c.Monotonic() < testutil.Patience {
		if last = why(); last == "" {
			return
		}
		if c.Sleep(t.Context(), 50*time.Millisecond) != nil {
			break
		}
	}
	t.Fatal(last)
}

var highWater = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// peakOf returns the peak memory of a process, in KiB (proc(5), VmHWM).
func peakOf(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	match := highWater.FindSubmatch(status)
	if match == nil {
		t.Fatalf("no VmHWM in %s", status)
	}
	peak, err := strconv.Atoi(string(match[1]))
	if err != nil {
		t.Fatal(err)
	}
	return peak
}
