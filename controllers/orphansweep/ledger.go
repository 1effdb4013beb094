package orphansweep

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/credname"
)

// pageSize of the lists. Each object can be more than a megabyte long.
const pageSize = 50

// cluster is what this cluster knows of credentials.
type cluster struct {
	hash string
	// ledger holds the names in ledgers and in retained Secrets.
	ledger map[string]bool
	// inSecret holds the names in any other Secret of ours.
	inSecret map[string]bool
	// owners by the part of their hash that every name carries.
	owners map[string][]owner
}

type owner struct {
	namespace, name string
	revision        int64
}

// ownerPrefix is the shortest owner hash in a name.
const ownerPrefix = 8

// readCluster reads every ApiToken and the metadata of our Secrets, live.
func (s *Sweeper) readCluster(ctx context.Context) (*cluster, error) {
	c := &cluster{hash: s.o.Cluster, ledger: map[string]bool{}, inSecret: map[string]bool{}, owners: map[string][]owner{}}
	if err := s.readLedgers(ctx, c); err != nil {
		return nil, err
	}
	if err := s.readSecrets(ctx, c); err != nil {
		return nil, err
	}
	return c, nil
}

func (s *Sweeper) readLedgers(ctx context.Context, c *cluster) error {
	page := client.ListOptions{Limit: pageSize}
	for {
		var tokens v1alpha1.ApiTokenList
		if err := s.o.Live.List(ctx, &tokens, &page); err != nil {
			return fmt.Errorf("listing ApiTokens live: %w", err)
		}
		for i := range tokens.Items {
			c.addToken(&tokens.Items[i])
		}
		if page.Continue = tokens.Continue; page.Continue == "" {
			return nil
		}
	}
}

func (c *cluster) addToken(t *v1alpha1.ApiToken) {
	for i := range t.Status.Credentials {
		c.ledger[t.Status.Credentials[i].Name] = true
	}
	prefix := credname.Owner(t.Namespace, t.Name)[:ownerPrefix]
	c.owners[prefix] = append(c.owners[prefix], owner{namespace: t.Namespace, name: t.Name, revision: t.Status.Revision})
}

func (s *Sweeper) readSecrets(ctx context.Context, c *cluster) error {
	page := client.ListOptions{Limit: pageSize}
	client.HasLabels{v1alpha1.LabelManaged}.ApplyToList(&page)
	for {
		secrets := &metav1.PartialObjectMetadataList{}
		secrets.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
		if err := s.o.Live.List(ctx, secrets, &page); err != nil {
			return fmt.Errorf("listing the metadata of Secrets live: %w", err)
		}
		for i := range secrets.Items {
			c.addSecret(secrets.Items[i].Annotations)
		}
		if page.Continue = secrets.Continue; page.Continue == "" {
			return nil
		}
	}
}

func (c *cluster) addSecret(annotations map[string]string) {
	name := annotations[v1alpha1.AnnotationCredential]
	if name == "" {
		return
	}
	if _, retained := annotations[v1alpha1.AnnotationRetained]; retained {
		c.ledger[name] = true
		return
	}
	c.inSecret[name] = true
}

// ahead reports whether the owner's ledger is older than the name: the cluster
// was restored from a backup, or the status was lost.
func (c *cluster) ahead(n credname.Name) (owner, bool) {
	for _, o := range c.owners[n.Owner[:ownerPrefix]] {
		if n.OwnedBy(c.hash, o.namespace, o.name) && n.Revision > o.revision {
			return o, true
		}
	}
	return owner{}, false
}
