package trim

import (
	"context"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"

	"apitoken.dev/operator/api/v1alpha1"
)

func TestListIsReadInTrimmedPages(t *testing.T) {
	const total = 2*PageSize + 7
	var asked []metav1.ListOptions
	from := &toolscache.ListWatch{ListWithContextFunc: func(_ context.Context, o metav1.ListOptions) (runtime.Object, error) {
		asked = append(asked, o)
		first := 0
		if o.Continue != "" {
			if _, err := fmt.Sscan(o.Continue, &first); err != nil {
				return nil, err
			}
		}
		list := &v1alpha1.ApiTokenList{ListMeta: metav1.ListMeta{ResourceVersion: "9"}}
		for i := first; i < min(first+int(o.Limit), total); i++ {
			list.Items = append(list.Items, v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(i), Annotations: map[string]string{"theirs": "x"}}})
		}
		if next := first + int(o.Limit); next < total {
			list.Continue = fmt.Sprint(next)
		}
		return list, nil
	}}
	out, err := pages{from: toolscache.ToListerWatcherWithContext(from)}.list(t.Context(), metav1.ListOptions{ResourceVersion: "0", LabelSelector: "a=b"}, kindOf(&v1alpha1.ApiToken{}))
	if err != nil {
		t.Fatal(err)
	}
	list := out.(*v1alpha1.ApiTokenList)
	if len(list.Items) != total || list.ResourceVersion != "9" || list.Continue != "" {
		t.Errorf("%d items at %s, continued at %q", len(list.Items), list.ResourceVersion, list.Continue)
	}
	for i := range list.Items {
		if item := &list.Items[i]; item.Name != fmt.Sprint(i) || item.Annotations["theirs"] != "" {
			t.Fatalf("item %d is %s with %v", i, item.Name, item.Annotations)
		}
	}
	if len(asked) != 3 {
		t.Errorf("%d pages", len(asked))
	}
	for _, o := range asked {
		if o.Limit != PageSize || o.ResourceVersion != "" || o.LabelSelector != "a=b" {
			t.Errorf("a page was asked for with %+v", o)
		}
	}
}
