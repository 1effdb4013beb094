package importer

import (
	"cmp"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli/output"
	"apitoken.dev/operator/internal/cli/pods"
)

// manifest is the output of import.
type manifest struct {
	source, namespace, token, target string
	guess                            guess
	scopes, buckets                  []string
	ref                              v1alpha1.ProviderReference
	newProvider                      bool
	candidates                       []account.Object
	users                            []pods.Pod
	// unseen says which providers could not be looked at.
	unseen []string
}

func (m *manifest) render() (string, error) {
	var b strings.Builder
	m.head(&b)
	if m.newProvider {
		if err := m.provider(&b); err != nil {
			return "", err
		}
	}
	spec := map[string]any{"providerRef": map[string]any{"kind": string(m.ref.Kind), "name": m.ref.Name},
		"description": "replaces Secret " + m.source, "scopes": m.scopes}
	if len(m.buckets) > 0 {
		spec["buckets"] = m.buckets
	}
	if m.target != "" {
		spec["secret"] = map[string]any{"name": m.target}
	}
	err := document(&b, "ApiToken", m.token, m.namespace, spec)
	return b.String(), err
}

// head says what this is, and the steps.
func (m *manifest) head(b *strings.Builder) {
	target := cmp.Or(m.target, m.token)
	line := func(format string, args ...any) { fmt.Fprintf(b, "# "+format+"\n", args...) }
	line("Replaces Secret %s/%s, which has the keys %s.", m.namespace, m.source, output.Join(m.guess.keys))
	line("Its key is not adopted: the operator issues a new one into Secret %s. To migrate:", target)
	step := 1
	next := func(format string, args ...any) {
		line("%d. "+format, append([]any{step}, args...)...)
		step++
	}
	next("Check the scopes and buckets below: the access of the old key is unknown.")
	if m.newProvider {
		next("Complete the TokenProvider, and put minting credentials into Secret %s-minter, with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.", m.ref.Name)
	}
	next("kubectl apitoken plan -f FILE, then kubectl apply -f FILE, then kubectl apitoken status -n %s %s.", m.namespace, m.token)
	next("Let the workloads use Secret %s instead of %s, and restart them.", target, m.source)
	for _, u := range m.users {
		line("   Pod %s uses the old one (%s).", u.Name, strings.Join(u.Ways, ", "))
	}
	next("When nothing uses it any longer, delete the old key at the provider, then kubectl delete secret -n %s %s.", m.namespace, m.source)
	for _, o := range m.candidates {
		line("Several providers have this endpoint: %s. Choose one with --provider.", o.Key())
	}
	for _, why := range m.unseen {
		line("Not all providers could be read (%s): one of them may have this endpoint. Ask for its name, and use --provider.", why)
	}
}

// provider writes a TokenProvider of the aws driver, which speaks to most servers.
func (m *manifest) provider(b *strings.Builder) error {
	aws := map[string]any{}
	if m.guess.endpoint != "" {
		aws["s3Endpoint"] = m.guess.endpoint
		aws["iamEndpoint"] = m.guess.endpoint
		fmt.Fprintf(b, "# The endpoint of the IAM API is a guess: many servers have it at another URL, and some lack it (docs/providers/README.md).\n")
	}
	if m.guess.region != "" {
		aws["region"] = m.guess.region
	}
	err := document(b, string(v1alpha1.KindTokenProvider), m.ref.Name, m.namespace, map[string]any{
		"credentialsSecretRef": map[string]any{"name": m.ref.Name + "-minter"}, "aws": aws,
	})
	b.WriteString("---\n")
	return err
}

func document(b *strings.Builder, kind, name, namespace string, spec map[string]any) error {
	raw, err := yaml.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": kind, "metadata": map[string]any{"name": name, "namespace": namespace}, "spec": spec,
	})
	if err != nil {
		return fmt.Errorf("writing the %s: %w", kind, err)
	}
	b.Write(raw)
	return nil
}
