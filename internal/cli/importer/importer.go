// Package importer is kubectl apitoken import. It is not called import, which is a keyword of
// Go.
package importer

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli/complete"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/output"
	"apitoken.dev/operator/internal/cli/pods"
	"apitoken.dev/operator/internal/cli/reading"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
)

// importOptions are the flags of import.
type importOptions struct {
	provider, name, target string
	scopes, buckets        []string
}

// NewCommand returns kubectl apitoken import.
func NewCommand(a *session.App) *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import SECRET",
		Short: "Write the ApiToken that would replace a Secret that was created manually",
		Long: "Writes the YAML of an ApiToken, and of a TokenProvider if none fits, that would replace a Secret that was created manually.\n" +
			"It changes nothing in the cluster.\n\n" +
			"An existing key is not adopted, because that is not safe: the operator identifies a credential by a name that it recorded\n" +
			"before the credential existed. So the ApiToken gets a new credential in a new Secret. You move the workloads there, and then\n" +
			"delete the old key at the provider. The output lists these steps as comments.\n\n" +
			"Only the names of the Secret's keys are used, and the values for endpoint, region and bucket. Values that hold a credential\n" +
			"are never decoded.",
		Example:           "  kubectl apitoken import old-s3-keys > token.yaml",
		Args:              session.ExactArgs(1, "import SECRET: name one Secret"),
		ValidArgsFunction: complete.Secrets(a),
		RunE: a.RunE(func(ctx context.Context, s *session.Session, args []string) error {
			return importSecret(ctx, s, strings.TrimPrefix(args[0], "secret/"), o)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&o.provider, "provider", "", "The provider, as TokenProvider/NAME or ClusterTokenProvider/NAME; guessed from the endpoint when absent.")
	complete.Providers(a, cmd)
	f.StringVar(&o.name, "name", "", "The name of the ApiToken; that of the Secret and -token when absent.")
	f.StringVar(&o.target, "secret-name", "", "The name of the new Secret; that of the ApiToken when absent.")
	f.StringSliceVar(&o.scopes, "scope", []string{"objectstorage:object-read-only"}, "The access to declare; may be repeated.")
	f.StringSliceVar(&o.buckets, "bucket", nil, "The buckets to declare; guessed from the Secret when absent.")
	return cmd
}

// guess has the settings that the keys of a Secret suggest.
type guess struct {
	// keys are their names, in order.
	keys                     []string
	aws                      bool
	endpoint, region, bucket string
}

// The keys whose values are no credentials, in the order of trust.
var (
	endpointKeys = []string{"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "S3_ENDPOINT", "S3_ENDPOINT_URL", "ENDPOINT_URL", "endpoint"}
	regionKeys   = []string{"AWS_REGION", "AWS_DEFAULT_REGION", "S3_REGION", "region"}
	bucketKeys   = []string{"BUCKET_NAME", "S3_BUCKET", "AWS_BUCKET", "AWS_S3_BUCKET", "BUCKET", "bucket"}
	accessKeys   = []string{"AWS_ACCESS_KEY_ID", "S3_ACCESS_KEY", "ACCESS_KEY_ID", "accessKeyID", "access_key", "accesskey"}

	bucketName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$`)
	regionName = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)
)

func guessFrom(secret *corev1.Secret) guess {
	var g guess
	for key := range secret.Data {
		g.keys = append(g.keys, key)
	}
	slices.Sort(g.keys)
	g.aws = slices.ContainsFunc(accessKeys, func(key string) bool { _, ok := secret.Data[key]; return ok })
	g.endpoint = setting(secret, endpointKeys, func(v string) bool {
		_, err := provider.Endpoint("it", v)
		return err == nil
	})
	g.region = setting(secret, regionKeys, regionName.MatchString)
	g.bucket = setting(secret, bucketKeys, bucketName.MatchString)
	return g
}

// setting is the first value under some keys that has the form of what it should be.
func setting(secret *corev1.Secret, keys []string, valid func(string) bool) string {
	for _, key := range keys {
		if v := strings.TrimSpace(string(secret.Data[key])); v != "" && valid(v) {
			return v
		}
	}
	return ""
}

func importSecret(ctx context.Context, s *session.Session, name string, o importOptions) error {
	secret, err := s.Secret(ctx, name)
	if err != nil {
		return err
	}
	if owner := secret.Annotations[v1alpha1.AnnotationToken]; owner != "" {
		return exit.Refusedf("Secret %q is published by ApiToken %q already: there is nothing to import", name, owner)
	}
	g := guessFrom(secret)
	m := &manifest{source: name, namespace: s.Namespace, guess: g, scopes: o.scopes, buckets: o.buckets,
		token: cmp.Or(o.name, name+"-token"), target: o.target}
	if len(m.buckets) == 0 && g.bucket != "" {
		m.buckets = []string{g.bucket}
	}
	objects := slices.ContainsFunc(o.scopes, func(scope string) bool { return strings.HasPrefix(scope, "objectstorage:") })
	if objects && len(m.buckets) == 0 {
		return exit.Usagef("no key of Secret %q names a bucket (its keys: %s): name it with --bucket", name, output.Join(g.keys))
	}
	if cmp.Or(m.target, m.token) == name {
		return exit.Usagef("--secret-name: %q is the Secret to be replaced, and the operator never takes over a Secret that is not its own: choose another name", name)
	}
	if err := chooseProvider(ctx, s, m, o.provider); err != nil {
		return err
	}
	pods.Using(ctx, s, name).Switch(func(users []pods.Pod) { m.users = users }, func() {}, func(err error) {
		s.Say("warning: which pods use the Secret is unknown: %s. %s", hint.Unreadable(pods.Access(s), err), s.ToRead(pods.Access(s), err))
	})
	text, err := m.render()
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(s.Out, text)
	return err
}

// chooseProvider takes the one that is named, or the only one that has the
// Secret's endpoint; else the manifest gets a new TokenProvider.
func chooseProvider(ctx context.Context, s *session.Session, m *manifest, asked string) error {
	if asked != "" {
		var err error
		if m.ref, err = session.ProviderFlag(asked); err != nil {
			return err
		}
		return nil
	}
	if !m.guess.aws {
		return exit.Usagef("Secret %q holds no S3 key that this command knows (its keys are %s): name the provider with --provider and the access with --scope",
			m.source, output.Join(m.guess.keys))
	}
	found, unseen, err := providersFor(ctx, s, m.guess)
	if err != nil {
		return err
	}
	m.unseen = unseen
	if len(found) == 1 {
		m.ref = v1alpha1.ProviderReference{Kind: found[0].Kind, Name: found[0].GetName()}
		return nil
	}
	m.candidates = found
	m.newProvider = true
	m.ref = v1alpha1.ProviderReference{Kind: v1alpha1.KindTokenProvider, Name: m.source + "-account"}
	return nil
}

// providersFor lists the providers that hand out keys for the Secret's endpoint, and
// says which could not be looked at: one of those may have it too.
func providersFor(ctx context.Context, s *session.Session, g guess) (fit []account.Object, unseen []string, err error) {
	all := s.Providers(ctx, s.Namespace)
	look := func(r reading.Of[[]account.Object], a hint.Access) {
		r.Switch(func(found []account.Object) {
			for _, o := range found {
				if endpoint, ok := s3Endpoint(s, o.Spec); ok && endpoint == strings.TrimRight(g.endpoint, "/") {
					fit = append(fit, o)
				}
			}
		}, func() {}, func(why error) {
			if !reading.Forbidden(why) {
				err = why
				return
			}
			unseen = append(unseen, hint.Unreadable(a, why))
			s.Say("warning: %s. %s", hint.Unreadable(a, why), s.ToRead(a, why))
		})
	}
	look(all.Cluster, all.ClusterAccess)
	look(all.Own, all.OwnAccess)
	return fit, unseen, err
}

// s3Endpoint returns the S3 endpoint that a provider publishes next to its keys; empty is
// AWS itself. ok is false for a provider that issues no S3 keys.
func s3Endpoint(s *session.Session, spec *v1alpha1.ProviderSpec) (endpoint string, ok bool) {
	driver, settings, err := s.Registry.Resolve(registry.Spec{ProviderSpec: spec})
	if err != nil {
		return "", false
	}
	cfg := provider.Config{Settings: settings}
	connector, ok := provider.As[provider.Connector](driver)
	if !ok || !slices.Contains(provider.CredentialKeys(driver, cfg, provider.Grant{}), accessKeys[0]) {
		return "", false
	}
	published := connector.Connection(cfg, provider.Grant{})
	return published[endpointKeys[0]], published != nil
}
