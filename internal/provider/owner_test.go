package provider_test

import (
	"strings"
	"testing"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
)

func TestOwnsOnlyNamesOfTheOwner(t *testing.T) {
	cluster, other := credname.Cluster("one"), credname.Cluster("another")
	name := func(cluster, namespace, token string) string {
		n, err := credname.New(cluster, credname.Owner(namespace, token), 1, 0, strings.NewReader(strings.Repeat("x", 64)))
		if err != nil {
			t.Fatal(err)
		}
		return n.String()
	}
	one := provider.Owner{Cluster: cluster, Namespace: "ml", Token: "training"}
	all := provider.Owner{Cluster: cluster}
	cases := map[string]struct {
		name        string
		ofOne, ofIt bool
	}{
		"its own":           {name(cluster, "ml", "training"), true, true},
		"another ApiToken":  {name(cluster, "ml", "other"), false, true},
		"another namespace": {name(cluster, "web", "training"), false, true},
		"another cluster":   {name(other, "ml", "training"), false, false},
		"own name":          {"my key", false, false},
		"nothing":           {"", false, false},
	}
	for what, c := range cases {
		if got := one.Owns(c.name); got != c.ofOne {
			t.Errorf("%s: the ApiToken owns it: %t", what, got)
		}
		if got := all.Owns(c.name); got != c.ofIt {
			t.Errorf("%s: the cluster owns it: %t", what, got)
		}
	}
}
