// Package plan is kubectl apitoken plan: it sends files to the API server as a dry run, and
// decides with the operator's own rules what would follow.
package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/output"
	"apitoken.dev/operator/internal/cli/session"
)

// planOptions are the flags of plan.
type planOptions struct {
	files resource.FilenameOptions
	apply applyOptions
	out   *output.Printer
}

// applyOptions say how kubectl apply will be called.
type applyOptions struct {
	serverSide, force bool
	manager           string
}

// NewCommand returns kubectl apitoken plan.
func NewCommand(a *session.App) *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:   "plan -f FILE",
		Short: "Show what kubectl apply would do to credentials, without doing it",
		Long: "Sends the objects of a file to the API server as a dry run, and decides with the operator's own rules what would follow for\n" +
			"each ApiToken: nothing, a change in place, a new credential, or a refusal; and what the provider would be asked for. No\n" +
			"provider is called, and no secret value is read.\n\n" +
			"The exit code is 4 when something is refused, and 1 when something is accepted but cannot be issued now, or when you\n" +
			"may not read the provider that decides.",
		Example:           "  kubectl apitoken plan -f token.yaml && kubectl apply -f token.yaml\n\n  kubectl apitoken plan -k overlays/production",
		Args:              session.ExactArgs(0, "plan takes files with -f or -k"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.RunE(func(ctx context.Context, s *session.Session, _ []string) error {
			return run(ctx, s, o)
		}, o.check),
	}
	f := cmd.Flags()
	files := genericclioptions.FileNameFlags{
		Usage:     "The files, directories or URLs that contain the ApiTokens.",
		Filenames: &o.files.Filenames, Kustomize: &o.files.Kustomize, Recursive: &o.files.Recursive,
	}
	files.AddFlags(f)
	f.BoolVar(&o.apply.serverSide, "server-side", false, "Plan for kubectl apply --server-side.")
	f.BoolVar(&o.apply.force, "force-conflicts", false, "With --server-side: take fields over from other managers.")
	f.StringVar(&o.apply.manager, "field-manager", "", "Name of the manager of fields; kubectl's own when absent.")
	o.out = output.NewPrinter(cmd, session.Scheme(), output.FormatTable)
	return cmd
}

func (o *planOptions) check() error {
	if err := o.files.RequireFilenameOrKustomize(); err != nil {
		return exit.Usagef("-f is missing: name a file, directory or URL with ApiTokens, or - for standard input; or a kustomization with -k")
	}
	if err := o.out.Check(); err != nil {
		return err
	}
	if o.apply.force && !o.apply.serverSide {
		return exit.Usagef("--force-conflicts needs --server-side")
	}
	return nil
}

// The outcomes of a plan.
const (
	outcomeIssue   = "Issue"   // a first credential
	outcomeReissue = "Reissue" // a new credential in place of one that is live
	outcomeInPlace = "InPlace" // a change without a new secret
	outcomeNothing = "Nothing" // nothing happens at the provider
	outcomeByHand  = "ByHand"  // a user is asked to act at the provider
	outcomeEnds    = "Ends"    // access ends
	outcomeBlocked = "Blocked" // it is accepted, but cannot be issued now
	outcomeRefused = "Refused" // the API server or the provider's limits refuse it
	outcomeUnknown = "Unknown" // it is accepted, and the provider that decides the rest could not be read
)

// planView is the output of plan with -o json and -o yaml.
type planView struct {
	Plans []*planned `json:"plans"`
}

// planned describes what applying one object would cause.
type planned struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Help says what the reason means, Do what to do about it.
	Help string `json:"help,omitempty"`
	Do   string `json:"whatToDo,omitempty"`
	// Changes are the fields that differ from what is in the cluster.
	Changes []change `json:"changes,omitempty"`
	// RemovedKeys are keys of the published Secret that it no longer has afterwards, with
	// their values.
	RemovedKeys map[string]string `json:"removedKeys,omitempty"`
	// Notes are assumptions and side effects.
	Notes []string `json:"notes,omitempty"`
	// Request is the request that the provider would get.
	Request *requestView `json:"request,omitempty"`
}

// requestView is a request to a provider, without secrets.
type requestView struct {
	Verb        string     `json:"verb"`
	Provider    string     `json:"provider"`
	Driver      string     `json:"driver"`
	Name        string     `json:"name,omitempty"`
	Credential  string     `json:"credential,omitempty"`
	Description string     `json:"description,omitempty"`
	Scopes      []string   `json:"scopes"`
	Buckets     []string   `json:"buckets,omitempty"`
	AllowedIPs  []string   `json:"allowedIPs,omitempty"`
	DeniedIPs   []string   `json:"deniedIPs,omitempty"`
	Subaccounts []string   `json:"subaccounts,omitempty"`
	ExpiresAt   *time.Time `json:"expiresAt,omitempty"`
	// HTTP are the requests themselves, where a rest block declares them.
	HTTP []string `json:"http,omitempty"`
	// Secret is where it is published, with the keys that are no secret.
	Secret     string            `json:"secret"`
	Connection map[string]string `json:"connection,omitempty"`
}

func run(ctx context.Context, s *session.Session, o planOptions) error {
	objects, others, err := read(s, o.files)
	if err != nil {
		return err
	}
	p := &planner{Session: s, apply: o.apply, fromFile: map[account.Key]account.Object{}}
	var view planView
	// Providers first: the ApiTokens of the same file may name them.
	for _, tokens := range []bool{false, true} {
		for _, object := range objects {
			if (object.GetKind() == "ApiToken") == tokens {
				one, err := p.one(ctx, object)
				if err != nil {
					return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
				}
				view.Plans = append(view.Plans, one)
			}
		}
	}
	if others > 0 {
		s.Say("%d objects of other kinds are ignored.", others)
	}
	if len(view.Plans) == 0 {
		return exit.Usagef("the files hold no ApiToken, TokenProvider or ClusterTokenProvider of %s", v1alpha1.GroupVersion)
	}
	if _, human := o.out.ForPeople(); human {
		view.write(s.Out, s.Clock.Now())
	} else if err := o.out.View(s.Out, "Plan", view); err != nil {
		return err
	}
	return exit.Silent(view.code())
}

func (v *planView) code() exit.Code {
	out := exit.OK
	for _, p := range v.Plans {
		switch p.Outcome {
		case outcomeRefused:
			return exit.Refused
		case outcomeBlocked, outcomeUnknown:
			out = exit.Failed
		}
	}
	return out
}

// read reads the files as kubectl apply does, and counts the objects of other kinds.
func read(s *session.Session, files resource.FilenameOptions) (objects []*unstructured.Unstructured, others int, err error) {
	explicit := s.Config.Namespace != nil && *s.Config.Namespace != ""
	result := resource.NewBuilder(s.Config).Unstructured().ContinueOnError().
		NamespaceParam(s.Namespace).DefaultNamespace().FilenameParam(explicit, &files).Flatten().Do().IgnoreErrors(otherKind)
	infos, err := result.Infos()
	if meta.IsNoMatchError(err) {
		return nil, 0, err // explain says that the kinds are not installed
	}
	if err != nil {
		return nil, 0, exit.Usagef("%w", err)
	}
	for _, info := range infos {
		u, ok := info.Object.(*unstructured.Unstructured)
		if !ok || u.GroupVersionKind().GroupVersion() != v1alpha1.GroupVersion {
			others++
			continue
		}
		objects = append(objects, u)
	}
	return objects, others, nil
}

// otherKind reports whether the API server does not serve the kind of an object that plan
// does not look at. Without its own kinds, plan could not decide anything.
func otherKind(err error) bool {
	var kind *meta.NoKindMatchError
	if errors.As(err, &kind) && kind.GroupKind.Group == v1alpha1.GroupVersion.Group &&
		slices.Contains(kind.SearchedVersions, v1alpha1.GroupVersion.Version) {
		return !slices.Contains([]string{"ApiToken", "TokenProvider", "ClusterTokenProvider"}, kind.GroupKind.Kind)
	}
	return meta.IsNoMatchError(err)
}

// planner plans the objects of some files.
type planner struct {
	*session.Session
	apply applyOptions
	// fromFile are providers as they would be after the apply.
	fromFile map[account.Key]account.Object
}

func (p *planner) one(ctx context.Context, declared *unstructured.Unstructured) (*planned, error) {
	out := &planned{Kind: declared.GetKind(), Name: nameOf(declared)}
	live, after, err := p.dryRun(ctx, declared)
	if why, no := refusal(err); no {
		out.Outcome, out.Reason, out.Message = outcomeRefused, string(why.Reason), why.Message
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	out.Changes = changes(live, after)
	if declared.GetKind() != "ApiToken" {
		return out, p.provider(live, after, out)
	}
	before, token := &v1alpha1.ApiToken{}, &v1alpha1.ApiToken{}
	if err := convert(live, before); err != nil {
		return nil, err
	}
	if err := convert(after, token); err != nil {
		return nil, err
	}
	return out, p.decide(ctx, before, token, out)
}

func nameOf(o client.Object) string {
	if o.GetNamespace() == "" {
		return o.GetName()
	}
	return o.GetNamespace() + "/" + o.GetName()
}

func convert(from *unstructured.Unstructured, to any) error {
	if from == nil {
		return nil
	}
	return runtime.DefaultUnstructuredConverter.FromUnstructured(from.Object, to)
}

// provider keeps a provider for the ApiTokens of the same files.
func (p *planner) provider(live, after *unstructured.Unstructured, out *planned) error {
	raw := account.NewObject(v1alpha1.ProviderKind(after.GetKind())).Raw
	if err := convert(after, raw); err != nil {
		return err
	}
	o := account.Of(raw)
	switch {
	case live == nil:
		out.Outcome, out.Message = outcomeNothing, "the provider is created; its credentials are checked before anything is issued"
		p.fromFile[o.Key()] = o
	case len(out.Changes) > 0:
		out.Outcome, out.Message = outcomeNothing, "the provider changes; its credentials are checked again"
		p.fromFile[o.Key()] = o
	default:
		out.Outcome = outcomeNothing
	}
	return nil
}
