package trim

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
)

// PageSize is the number of objects per list request of the cache. Each can be larger than a
// megabyte before it is trimmed.
const PageSize = 50

// NewInformer returns an informer that reads pages and trims each page when it arrives.
// Kubernetes 1.34 and later stream the objects instead, and the client library trims them
// one by one; older versions would send all objects in one answer.
func NewInformer(lw toolscache.ListerWatcher, o runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
	return toolscache.NewSharedIndexInformer(pages{from: toolscache.ToListerWatcherWithContext(lw)}.listWatch(kindOf(o)), o, resync, indexers)
}

func kindOf(o runtime.Object) kept {
	if m, ok := o.(*metav1.PartialObjectMetadata); ok && m.Kind == "Namespace" {
		return namespaces
	} else if ok {
		return secrets
	}
	return kept{annotations: tokens.annotations}
}

type pages struct {
	from toolscache.ListerWatcherWithContext
}

func (p pages) listWatch(k kept) *toolscache.ListWatch {
	return &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return p.list(ctx, o, k) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return p.from.WatchWithContext(ctx, o)
		},
	}
}

// list returns all objects in one list, trimmed.
func (p pages) list(ctx context.Context, o metav1.ListOptions, k kept) (runtime.Object, error) {
	// The API server ignores the limit of a list at version 0.
	o.ResourceVersion, o.ResourceVersionMatch, o.Limit = "", "", PageSize
	var all []runtime.Object
	for {
		page, err := p.from.ListWithContext(ctx, o)
		if err != nil {
			return nil, err
		}
		items, err := meta.ExtractList(page)
		if err != nil {
			return nil, fmt.Errorf("reading a page of %T: %w", page, err)
		}
		for _, item := range items {
			if m, ok := item.(metav1.Object); ok {
				k.trim(m)
			}
		}
		all = append(all, items...)
		list, err := meta.ListAccessor(page)
		if err != nil {
			return nil, fmt.Errorf("reading a page of %T: %w", page, err)
		}
		if o.Continue = list.GetContinue(); o.Continue != "" {
			continue
		}
		if err := meta.SetList(page, all); err != nil {
			return nil, fmt.Errorf("joining the pages of %T: %w", page, err)
		}
		return page, nil
	}
}
