package orphansweep

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/credname"
)

// pageSize limits the pages of lists, since an object can be larger than a megabyte.
const pageSize = 50

// cluster is what the ledgers and Secrets of this cluster contain.
type cluster struct {
	hash string
	// ledger holds the names in ledgers.
	ledger map[string]bool
	// retained holds the names in retained Secrets, with the expiry in the Secret, and
	// inSecret those in any other Secret of the operator. Only names of the Secret's own
	// ApiToken count.
	retained map[string]time.Time
	inSecret map[string]bool
	// owners by the prefix of their hash that every name contains.
	owners map[string][]owner
}

type owner struct {
	namespace, name string
	revision        int64
}

// ownerPrefix is the length of the owner hash in every name.
const ownerPrefix = 16

// readCluster reads every ApiToken and the metadata of the operator's Secrets live.
func (s *Sweeper) readCluster(ctx context.Context) (*cluster, error) {
	c := &cluster{hash: s.o.Cluster, ledger: map[string]bool{}, retained: map[string]time.Time{}, inSecret: map[string]bool{}, owners: map[string][]owner{}}
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
		if name := t.Status.Credentials[i].Name; c.owns(t.Namespace, t.Name, name) {
			c.ledger[name] = true
		}
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
			c.addSecret(&secrets.Items[i])
		}
		if page.Continue = secrets.Continue; page.Continue == "" {
			return nil
		}
	}
}

// addSecret adds the credential that a Secret names. Anyone who can write Secrets in a
// namespace can name any credential there, so it counts only if it was minted for the
// Secret's own ApiToken.
func (c *cluster) addSecret(secret *metav1.PartialObjectMetadata) {
	annotations := secret.Annotations
	name := annotations[v1alpha1.AnnotationCredential]
	if !c.owns(secret.Namespace, annotations[v1alpha1.AnnotationToken], name) {
		return
	}
	if _, retained := annotations[v1alpha1.AnnotationRetained]; retained {
		expires, _ := time.Parse(time.RFC3339, annotations[v1alpha1.AnnotationExpiresAt])
		c.retained[name] = expires
		return
	}
	c.inSecret[name] = true
}

// owns reports whether a credential was minted in this cluster for an ApiToken.
func (c *cluster) owns(namespace, token, credential string) bool {
	n, err := credname.Parse(credential)
	return err == nil && n.OwnedBy(c.hash, namespace, token)
}

// ahead reports whether a name has a higher revision than its owner's ledger: the cluster
// was restored from a backup, or the status was lost.
func (c *cluster) ahead(n credname.Name) (owner, bool) {
	for _, o := range c.owners[n.Owner[:ownerPrefix]] {
		if n.OwnedBy(c.hash, o.namespace, o.name) && n.Revision > o.revision {
			return o, true
		}
	}
	return owner{}, false
}
