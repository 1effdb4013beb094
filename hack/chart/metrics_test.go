package chart

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/internal/features"
)

const (
	serviceName = release + "-metrics"
	serverName  = serviceName + "." + namespace + ".svc"
	withIssuer  = "metrics.certificate.enabled=true,metrics.certificate.issuerRef.name=ca,"
	withMonitor = "metrics.serviceMonitor.enabled=true"
)

// field returns the value at a path, or nil.
func field(t *testing.T, o *unstructured.Unstructured, path ...string) any {
	t.Helper()
	value, _, err := unstructured.NestedFieldNoCopy(o.Object, path...)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// items returns the maps in the list at a path.
func items(t *testing.T, o *unstructured.Unstructured, path ...string) []map[string]any {
	t.Helper()
	list, _, err := unstructured.NestedSlice(o.Object, path...)
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]any
	for _, item := range list {
		out = append(out, item.(map[string]any))
	}
	return out
}

func endpoint(t *testing.T, set string) map[string]any {
	t.Helper()
	endpoints := items(t, find(t, objects(t, render(t, "--set", set)), "ServiceMonitor", release), "spec", "endpoints")
	if len(endpoints) != 1 {
		t.Fatalf("%d endpoints", len(endpoints))
	}
	return endpoints[0]
}

// With a certificate, Prometheus verifies the name of the Service with the CA in the certificate's
// Secret. Only the operator's self-signed certificate is not verified.
func TestServiceMonitorVerifiesTheServiceName(t *testing.T) {
	verified := func(secret string) any {
		return map[string]any{"serverName": serverName, "ca": map[string]any{"secret": map[string]any{"name": secret, "key": "ca.crt"}}}
	}
	for name, c := range map[string]struct {
		set  string
		want any
	}{
		"no certificate":     {withMonitor, map[string]any{"insecureSkipVerify": true}},
		"of cert-manager":    {withIssuer + withMonitor, verified(serviceName + "-cert")},
		"in a named Secret":  {withIssuer + "metrics.certSecretName=own," + withMonitor, verified("own")},
		"a Secret":           {"metrics.certSecretName=own," + withMonitor, verified("own")},
		"in clear":           {"metrics.secure=false,metrics.auth=false," + withMonitor, nil},
		"settings are given": {withIssuer + "metrics.serviceMonitor.tlsConfig.serverName=other," + withMonitor, map[string]any{"serverName": "other"}},
	} {
		if diff := cmp.Diff(c.want, endpoint(t, c.set)["tlsConfig"]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// The certificate is for the Service's name, which Prometheus verifies. The pod serves the
// certificate that cert-manager writes.
func TestCertificateIsForTheService(t *testing.T) {
	for set, secret := range map[string]string{
		withIssuer + withMonitor:                                 serviceName + "-cert",
		withIssuer + "metrics.certSecretName=own," + withMonitor: "own",
	} {
		rendered := objects(t, render(t, "--set", set))
		service := find(t, rendered, "Service", serviceName)
		if got := service.GetName() + "." + service.GetNamespace() + ".svc"; got != serverName {
			t.Errorf("the Service is reached as %s, not %s", got, serverName)
		}
		certificate := find(t, rendered, "Certificate", serviceName)
		names, _, err := unstructured.NestedStringSlice(certificate.Object, "spec", "dnsNames")
		if err != nil || !slices.Contains(names, serverName) {
			t.Errorf("the certificate is for %v, not for %s: %v", names, serverName, err)
		}
		if got := field(t, certificate, "spec", "secretName"); got != secret {
			t.Errorf("cert-manager writes the Secret %v, not %s", got, secret)
		}
		deployment := deploymentOf(t, rendered)
		if !slices.Contains(args(t, deployment), "--metrics-cert-dir=/etc/apitoken-operator/metrics") {
			t.Errorf("the manager is started without the directory of the certificate: %v", args(t, deployment))
		}
		volumes := items(t, deployment, "spec", "template", "spec", "volumes")
		want := []map[string]any{{"name": "metrics-cert", "secret": map[string]any{"secretName": secret}}}
		if diff := cmp.Diff(want, volumes); diff != "" {
			t.Error(diff)
		}
	}
}

// Metrics can be scraped in every combination that serves them: the Service and the NetworkPolicy
// select the pod and one of its ports.
func TestNetworkPolicyAdmitsWhatTheServiceForwards(t *testing.T) {
	for _, c := range combinations() {
		t.Run(c.name, func(t *testing.T) { reachable(t, objects(t, render(t, c.args()...))) })
	}
	t.Run("config", func(t *testing.T) {
		reachable(t, slices.Concat(read(t, "../../config/manager/manager.yaml"), read(t, "../../config/network/metrics_service.yaml"),
			read(t, "../../config/network/networkpolicy.yaml")))
	})
}

func reachable(t *testing.T, all []*unstructured.Unstructured) {
	t.Helper()
	deployment := deploymentOf(t, all)
	labels, _, err := unstructured.NestedStringMap(deployment.Object, "spec", "template", "metadata", "labels")
	if err != nil {
		t.Fatal(err)
	}
	selects := func(o *unstructured.Unstructured, path ...string) {
		t.Helper()
		selector, _, err := unstructured.NestedStringMap(o.Object, path...)
		if err != nil || len(selector) == 0 {
			t.Fatalf("%s selects %v: %v", o.GetKind(), selector, err)
		}
		for key, value := range selector {
			if labels[key] != value {
				t.Errorf("%s selects %s=%s, the pod has %q", o.GetKind(), key, value, labels[key])
			}
		}
	}
	var ports []string
	containers := items(t, deployment, "spec", "template", "spec", "containers")
	for _, port := range containers[0]["ports"].([]any) {
		ports = append(ports, port.(map[string]any)["name"].(string))
	}
	for _, o := range all {
		switch o.GetKind() {
		case "Service":
			selects(o, "spec", "selector")
			if got := items(t, o, "spec", "ports")[0]["targetPort"]; got != "metrics" || !slices.Contains(ports, "metrics") {
				t.Errorf("the Service forwards to %v, the pod has %v", got, ports)
			}
		case "NetworkPolicy":
			selects(o, "spec", "podSelector", "matchLabels")
			var admitted []string
			for _, rule := range items(t, o, "spec", "ingress") {
				for _, port := range rule["ports"].([]any) {
					admitted = append(admitted, port.(map[string]any)["port"].(string))
				}
			}
			slices.Sort(admitted)
			slices.Sort(ports)
			if diff := cmp.Diff(ports, admitted); diff != "" {
				t.Errorf("- ports of the pod, + admitted by the NetworkPolicy:\n%s", diff)
			}
		}
	}
}

// config/default has the chart's Service and NetworkPolicy, without the label of the Helm release in
// the selectors.
func TestNetworkIsThatOfConfig(t *testing.T) {
	rendered := objects(t, render(t))
	for _, file := range []string{"metrics_service", "networkpolicy"} {
		want := read(t, "../../config/network/"+file+".yaml")[0]
		got := find(t, rendered, want.GetKind(), want.GetName())
		for _, path := range [][]string{{"spec", "selector"}, {"spec", "podSelector", "matchLabels"}} {
			unstructured.RemoveNestedField(got.Object, append(path, "app.kubernetes.io/instance")...)
		}
		if diff := cmp.Diff(want.Object["spec"], got.Object["spec"]); diff != "" {
			t.Errorf("%s, - config, + chart:\n%s", want.GetKind(), diff)
		}
		if want.GetNamespace() != got.GetNamespace() {
			t.Errorf("%s is in %s", want.GetKind(), want.GetNamespace())
		}
	}
}

// The schema admits the manager's feature gates, and the argument sets them.
func TestChartPassesFeatureGatesToTheManager(t *testing.T) {
	var set string
	want := features.New()
	specs := features.Specs()
	for _, gate := range slices.Sorted(maps.Keys(specs)) {
		value := "true"
		if spec := specs[gate]; spec.Default && !spec.LockToDefault {
			value = "false"
		}
		set += ",featureGates." + string(gate) + "=" + value
		if err := want.Set(string(gate) + "=" + value); err != nil {
			t.Fatal(err)
		}
	}
	if got := args(t, deploymentOf(t, objects(t, render(t, "--set", set[1:])))); !slices.Contains(got, "--feature-gates="+want.String()) {
		t.Errorf("the manager is started without --feature-gates=%s: %v", want.String(), got)
	}
	for _, gate := range schemaGates(t) {
		if err := want.Set(gate + "=true"); err != nil {
			t.Errorf("values.schema.json admits a feature gate that the manager refuses: %v", err)
		}
	}
}

// The API server rejects Recreate with rollingUpdate. The chart always renders rollingUpdate, so an
// upgrade can remove it.
func TestUpdateStrategyCanBeChanged(t *testing.T) {
	c := env.Client(nil)
	namespaceNamed(t, c, namespace)
	apply := func(o *unstructured.Unstructured) *unstructured.Unstructured {
		t.Helper()
		o = o.DeepCopy()
		if err := c.Patch(t.Context(), o, client.Apply, client.FieldOwner("helm"), client.ForceOwnership); err != nil { //nolint:staticcheck // SA1019: unstructured objects have no apply configuration of their own kind
			t.Fatal(err)
		}
		return o
	}
	deployment := func(set string) *unstructured.Unstructured {
		o := deploymentOf(t, objects(t, render(t, "--set", set)))
		o.SetName("strategy")
		return o
	}
	before := deployment("commonLabels.some=value")
	t.Cleanup(func() {
		if err := c.Delete(context.WithoutCancel(t.Context()), before); err != nil {
			t.Error(err)
		}
	})
	apply(before)
	for range 2 {
		got := apply(deployment("updateStrategy.type=Recreate"))
		if diff := cmp.Diff(map[string]any{"type": "Recreate"}, field(t, got, "spec", "strategy")); diff != "" {
			t.Error(diff)
		}
		got = apply(deployment("updateStrategy.rollingUpdate.maxSurge=25%"))
		want := map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"maxSurge": "25%", "maxUnavailable": int64(0)}}
		if diff := cmp.Diff(want, field(t, got, "spec", "strategy")); diff != "" {
			t.Error(diff)
		}
	}
}
