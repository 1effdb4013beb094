package hint

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericclioptions"
)

// A hint uses the cluster and the user of the command that printed it. The shell parses each word back.
func TestHintsKeepClusterUserAndQuoting(t *testing.T) {
	h := Hints{Config: genericclioptions.NewConfigFlags(false)}
	context, user, groups := "it's prod", "dev", []string{"a b"}
	h.Config.Context, h.Config.Impersonate, h.Config.ImpersonateGroup = &context, &user, &groups
	got := h.PluginCommand("ml", "status", "one")
	if diff := cmp.Diff(`kubectl apitoken status one -n ml --context 'it'\''s prod' --as dev --as-group 'a b'`, got); diff != "" {
		t.Error(diff)
	}
}
