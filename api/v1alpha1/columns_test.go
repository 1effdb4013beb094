package v1alpha1_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/rest"

	"apitoken.dev/operator/test/support/testenv"
)

// testColumns compares the columns of kubectl get. The API server makes the cells. kubectl
// prints those of priority 0, and all of them with -o wide.
func testColumns(t *testing.T, env *testenv.Env) {
	c := env.Client(nil)
	token := apiToken()
	apply(t, token, fields{
		"metadata.name":  "columns",
		"spec.scopes":    []string{"objectstorage:object-read-only", "billing:read-only"},
		"spec.buckets":   []string{"datasets", "models"},
		"spec.secret":    fields{"name": "columns-s3"},
		"spec.expiresIn": "2160h",
	})
	if err := c.Create(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"Ready": "<nil>", "Status": "<nil>", "Provider": "object-store", "Secret": "<nil>", "Expires": "<nil>", "Rotates": "<nil>",
	}
	compareCells(t, env, 0, want)

	apply(t, token, fields{
		"status.conditions": []any{
			fields{"type": "Issued", "status": "True", "reason": "Issued", "message": "", "lastTransitionTime": "2030-01-01T00:00:00Z"},
			fields{"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": "2030-01-01T00:00:00Z"},
		},
		"status.credentials": []any{
			fields{"name": "at1-c0ffee-1", "state": "Retiring", "id": "AKIAOLD"},
			fields{"name": "at1-c0ffee-2", "state": "Active", "id": "AKIANEW"},
		},
		"status.secret":    fields{"name": "columns-s3"},
		"status.expiresAt": "2030-04-01T00:00:00Z",
		"status.rotatesAt": "2030-03-01T00:00:00Z",
		"status.columns": fields{
			"scopes": "objectstorage:object-read-only,billing:read-only", "buckets": "datasets,models", "expires": "2030-04-01", "rotates": "2030-03-01",
		},
	})
	if err := c.Status().Update(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	want["Ready"], want["Status"], want["Expires"], want["Rotates"] = "True", "Ready", "2030-04-01", "2030-03-01"
	want["Secret"] = "columns-s3"
	compareCells(t, env, 0, want)
	compareCells(t, env, 1, map[string]string{
		"Key ID": "AKIANEW", "Scopes": "objectstorage:object-read-only,billing:read-only", "Buckets": "datasets,models",
	})
}

// testWidth: the output of kubectl get fits a terminal of 100 columns if names have a usual
// length. For a provider it shows the driver.
func testWidth(t *testing.T, env *testenv.Env) {
	kube := env.Client(nil)
	ready := []any{fields{"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": "2030-01-01T00:00:00Z"}}
	days, hours := fields{"expires": "2030-04-01", "rotates": "2030-03-01"}, fields{"expires": "01-01T08:30Z", "rotates": "01-01T07:50Z"}
	for _, c := range []struct {
		name, secret string
		columns      fields
	}{
		{"training-data-s3", "training-data-s3", days}, {"nightly-reports-exporter", "s3-keys", days}, {"training-data", "training-data", hours},
	} {
		token := apiToken()
		apply(t, token, fields{"metadata.name": c.name, "spec.scopes": []string{"objectstorage:object-read-only", "billing:read-only"}})
		if err := kube.Create(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		c.columns["scopes"] = "objectstorage:object-read-only,billing:read-only"
		apply(t, token, fields{"status.conditions": ready, "status.secret": fields{"name": c.secret}, "status.columns": c.columns})
		if err := kube.Status().Update(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		text := printed(t, getTable(t, env.Config, "/apis/apitoken.dev/v1alpha1/namespaces/default/apitokens/"+c.name))
		for line := range strings.Lines(text) {
			if got := len(strings.TrimSpace(line)); got > 100 {
				t.Errorf("%d columns:\n%s", got, text)
			}
		}
		if err := kube.Delete(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	provider := clusterTokenProvider()
	apply(t, provider, fields{"metadata.name": "shows-its-driver"})
	if err := kube.Create(t.Context(), provider); err != nil {
		t.Fatal(err)
	}
	apply(t, provider, fields{"status.conditions": ready, "status.driver": "aws", "status.account": "123456789012", "status.liveCredentials": 3})
	if err := kube.Status().Update(t.Context(), provider); err != nil {
		t.Fatal(err)
	}
	text := printed(t, getTable(t, env.Config, "/apis/apitoken.dev/v1alpha1/clustertokenproviders/shows-its-driver"))
	if !regexp.MustCompile(`(?m)^NAME +READY +STATUS +DRIVER +ACCOUNT +LIVE +AGE$\n^shows-its-driver +True +Ready +aws +123456789012 +3 `).MatchString(text) {
		t.Errorf("kubectl get prints:\n%s", text)
	}
}

// printed returns a table as kubectl prints it.
func printed(t *testing.T, table *metav1.Table) string {
	t.Helper()
	var out strings.Builder
	w := printers.GetNewTabWriter(&out)
	if err := printers.NewTablePrinter(printers.PrintOptions{}).PrintObj(table, w); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// compareCells compares the columns of one priority, without name and age.
func compareCells(t *testing.T, env *testenv.Env, priority int32, want map[string]string) {
	t.Helper()
	table := getTable(t, env.Config, "/apis/apitoken.dev/v1alpha1/namespaces/default/apitokens/columns")
	got := map[string]string{}
	for i, column := range table.ColumnDefinitions {
		if column.Priority == priority && column.Name != "Name" && column.Name != "Age" {
			got[column.Name] = fmt.Sprint(table.Rows[0].Cells[i])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("columns of priority %d (-want +got):\n%s", priority, diff)
	}
}

// getTable sends the request of kubectl get.
func getTable(t *testing.T, config *rest.Config, path string) *metav1.Table {
	t.Helper()
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base.JoinPath(path).String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
	response, err := httpClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var table metav1.Table
	if err := json.NewDecoder(response.Body).Decode(&table); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || len(table.Rows) != 1 {
		t.Fatalf("%s: %s with %d rows", path, response.Status, len(table.Rows))
	}
	return &table
}
