// Package tree is kubectl apitoken tree.
package tree

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/complete"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/output"
	"apitoken.dev/operator/internal/cli/pods"
	"apitoken.dev/operator/internal/cli/reading"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/cli/terminal"
	"apitoken.dev/operator/internal/cli/tokenstate"
	"apitoken.dev/operator/internal/cli/view"
)

// treeView lists the objects that belong to an ApiToken.
type treeView struct {
	Metadata view.Name         `json:"metadata"`
	State    string            `json:"state"`
	Reason   string            `json:"reason"`
	Provider view.Provider     `json:"provider"`
	Minting  *view.Name        `json:"mintingSecret,omitempty"`
	Secret   secretView        `json:"secret"`
	Ledger   []view.Credential `json:"credentials"`
	Pods     []pods.Pod        `json:"pods"`
	// PodsUnknown says why the pods are not known.
	PodsUnknown string `json:"podsUnknown,omitempty"`
}

type secretView struct {
	Name string `json:"name"`
	// State is "published", "missing", "not of this ApiToken", or why the read failed.
	State      string `json:"state"`
	Credential string `json:"credential,omitempty"`
	// Unread: the read failed, so the Secret can exist.
	Unread bool `json:"unread,omitempty"`
	// createdAt is the creation time of the Secret; nil if unknown.
	createdAt *metav1.Time
}

// NewCommand returns kubectl apitoken tree.
func NewCommand(a *session.App) *cobra.Command {
	var out *output.Printer
	cmd := &cobra.Command{
		Use:               "tree NAME",
		Short:             "Show an ApiToken with its provider, Secret, credentials, and the pods that use it",
		Args:              session.ExactArgs(1, "tree NAME: name one ApiToken"),
		ValidArgsFunction: complete.Tokens(a),
		RunE: a.RunE(func(ctx context.Context, s *session.Session, args []string) error {
			v, err := gather(ctx, s, args[0])
			if err != nil {
				return err
			}
			if _, human := out.ForPeople(); human {
				v.write(s.Out, s.Clock.Now())
				return nil
			}
			return out.View(s.Out, "ApiTokenTree", v)
		}, func() error { return out.Check() }),
	}
	out = output.NewPrinter(cmd, session.Scheme(), output.FormatTable)
	return cmd
}

func gather(ctx context.Context, s *session.Session, name string) (*treeView, error) {
	t, err := s.Token(ctx, name)
	if err != nil {
		return nil, err
	}
	v := &treeView{
		Metadata: view.Name{Namespace: t.Namespace, Name: t.Name}, State: tokenstate.State(t), Reason: tokenstate.Reason(t),
		Ledger: view.Credentials(t.Status.Credentials),
	}
	if v.Provider, err = view.ProviderOf(ctx, s, t); err != nil {
		return nil, err
	}
	v.Minting = v.Provider.Minting
	if v.Secret, err = readSecret(ctx, s, t); err != nil {
		return nil, err
	}
	pods.Using(ctx, s, t.SecretName()).Switch(func(pods []pods.Pod) { v.Pods = pods }, func() {}, func(err error) {
		v.PodsUnknown = "could not read: " + hint.Unreadable(pods.Access(s), err)
	})
	pods.MarkOutdated(v.Pods, pods.PublishedAt(t, v.Secret.Credential, v.Secret.createdAt))
	return v, nil
}

// readSecret reads the metadata of the published Secret, and not its data.
func readSecret(ctx context.Context, s *session.Session, t *v1alpha1.ApiToken) (secretView, error) {
	v := secretView{Name: t.SecretName()}
	var failed error
	s.Metadata(ctx, corev1.SchemeGroupVersion.WithKind("Secret"), client.ObjectKey{Namespace: t.Namespace, Name: t.SecretName()}).Switch(
		func(m *metav1.PartialObjectMetadata) {
			if m.Annotations[v1alpha1.AnnotationToken] != t.Name {
				v.State = "not of this ApiToken"
				return
			}
			v.State, v.Credential = "published", m.Annotations[v1alpha1.AnnotationCredential]
			v.createdAt = &m.CreationTimestamp
		}, func() { v.State = "missing" }, func(err error) {
			v.State, v.Unread = "could not be read: "+hint.Unreadable(session.SecretAccess(t), err), true
			if !reading.Forbidden(err) {
				failed = err
			}
		})
	return v, failed
}

// node is a line of the tree with the nodes below it.
type node struct {
	text     string
	children []node
}

func (v *treeView) write(w io.Writer, now time.Time) {
	head := v.State
	if v.Reason != v.State {
		head += " (" + v.Reason + ")"
	}
	fmt.Fprintf(w, "ApiToken/%s  %s\n", v.Metadata.Name, head)
	branches([]node{v.providerNode(), v.secretNode(now)}, "", w)
}

func branches(list []node, prefix string, w io.Writer) {
	for i, n := range list {
		turn, below := "├─ ", "│  "
		if i == len(list)-1 {
			turn, below = "└─ ", "   "
		}
		fmt.Fprintln(w, prefix+turn+terminal.OneLine(n.text))
		branches(n.children, prefix+below, w)
	}
}

func (v *treeView) providerNode() node {
	p := &v.Provider
	n := node{text: fmt.Sprintf("%s/%s  %s", p.Kind, p.Name, strings.TrimPrefix(p.Sentence(), fmt.Sprintf("%s %s, ", p.Kind, p.Name)))}
	if v.Minting != nil {
		where := "in the operator's namespace"
		if v.Minting.Namespace != "" {
			where = "in namespace " + v.Minting.Namespace
		}
		n.children = append(n.children, node{text: fmt.Sprintf("Secret/%s  mints, %s", v.Minting.Name, where)})
	}
	return n
}

func (v *treeView) secretNode(now time.Time) node {
	n := node{text: "Secret/" + v.Secret.Name + "  " + v.Secret.State}
	for i := range v.Ledger {
		c := &v.Ledger[i]
		text := fmt.Sprintf("credential %s  %s", cmp.Or(c.ID, c.Name), c.Shown())
		if c.ExpiresAt != nil {
			text += ", expires " + output.Away(c.ExpiresAt.Time, now)
		}
		if c.RetireAt != nil {
			text += ", revoked " + output.Away(c.RetireAt.Time, now)
		}
		if c.Name == v.Secret.Credential {
			text += "  (in the Secret)"
		}
		n.children = append(n.children, node{text: text})
	}
	for _, p := range v.Pods {
		text := fmt.Sprintf("Pod/%s  %s, by %s", p.Name, cmp.Or(string(p.Phase), "unknown"), strings.Join(p.Ways, ", "))
		if p.Outdated {
			text += "; started before this credential was published: restart it to use the new one"
		}
		n.children = append(n.children, node{text: text})
	}
	if v.PodsUnknown != "" {
		n.children = append(n.children, node{text: "pods: " + v.PodsUnknown})
	}
	return n
}
