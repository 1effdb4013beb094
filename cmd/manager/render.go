package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/drivers/rest"
)

// newRenderCommand returns the dry run of the rest driver. It checks a declaration and
// prints the requests without sending them.
func newRenderCommand(now func() time.Time) *cobra.Command {
	var files []string
	cmd := &cobra.Command{
		Use:   "render -f provider.yaml [-f apitoken.yaml]",
		Short: "Print every request that a provider with a rest block would send, without sending any",
		Long: "Checks the templates and expressions of a TokenProvider or ClusterTokenProvider with a rest block, and prints every\n" +
			"request for an ApiToken: method, URL, headers and body. It sends nothing and needs no cluster.\n" +
			"Credentials are shown as [redacted]. Without an ApiToken it renders an example with scopes that the provider can grant.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in, err := readDeclarations(cmd.InOrStdin(), files)
			if err != nil {
				return err
			}
			return in.render(cmd.OutOrStdout(), now())
		},
	}
	cmd.Flags().StringArrayVarP(&files, "filename", "f", nil, "file with a provider or with ApiTokens; - is standard input; may be repeated")
	return cmd
}

// declarations are the objects in the files.
type declarations struct {
	settings *rest.Settings
	// provider is the name of the provider.
	provider string
	tokens   []v1alpha1.ApiToken
}

func readDeclarations(stdin io.Reader, files []string) (declarations, error) {
	var out declarations
	if len(files) == 0 {
		return out, errors.New("-f is required: name a file with a provider")
	}
	for _, file := range files {
		if err := out.readFile(stdin, file); err != nil {
			return out, err
		}
	}
	if out.settings == nil {
		return out, errors.New("the files contain no TokenProvider or ClusterTokenProvider with a rest block")
	}
	return out, nil
}

func (d *declarations) readFile(stdin io.Reader, file string) error {
	in := stdin
	if file != "-" {
		f, err := os.Open(file) //nolint:gosec // the user names the file
		if err != nil {
			return fmt.Errorf("reading a declaration: %w", err)
		}
		defer f.Close()
		in = f
	}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(in))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		if err := d.add(document); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
}

func (d *declarations) add(document []byte) error {
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(document, &kind); err != nil {
		return fmt.Errorf("not YAML of an object: %w", err)
	}
	if kind.Kind != "" && kind.APIVersion != v1alpha1.GroupVersion.String() {
		return nil
	}
	switch kind.Kind {
	case "ApiToken":
		var token v1alpha1.ApiToken
		if err := yaml.UnmarshalStrict(document, &token); err != nil {
			return fmt.Errorf("invalid ApiToken: %w", err)
		}
		d.tokens = append(d.tokens, token)
	case string(v1alpha1.KindTokenProvider):
		var p v1alpha1.TokenProvider
		if err := yaml.UnmarshalStrict(document, &p); err != nil {
			return fmt.Errorf("invalid TokenProvider: %w", err)
		}
		return d.use(p.Name, &p.Spec)
	case string(v1alpha1.KindClusterTokenProvider):
		var p v1alpha1.ClusterTokenProvider
		if err := yaml.UnmarshalStrict(document, &p); err != nil {
			return fmt.Errorf("invalid ClusterTokenProvider: %w", err)
		}
		return d.use(p.Name, &p.Spec.ProviderSpec)
	}
	return nil
}

func (d *declarations) use(name string, spec *v1alpha1.ProviderSpec) error {
	if spec.Rest == nil {
		return fmt.Errorf("provider %s has no rest block; only what is declared there can be rendered", name)
	}
	if d.settings != nil {
		return fmt.Errorf("there are two providers, %s and %s: render one at a time", d.provider, name)
	}
	settings := *spec.Rest
	d.settings, d.provider = &settings, name
	return nil
}

// render prints the requests for each ApiToken.
func (d *declarations) render(w io.Writer, now time.Time) error {
	if len(d.tokens) == 0 {
		return d.print(w, "an example", rest.Sample(*d.settings))
	}
	for i := range d.tokens {
		t := &d.tokens[i]
		what := "ApiToken " + t.Namespace + "/" + t.Name
		req, refusal := d.request(t, now)
		if refusal != nil {
			return fmt.Errorf("provider %s, %s: %w", d.provider, what, refusal)
		}
		if err := d.print(w, what, req); err != nil {
			return err
		}
	}
	return nil
}

// request returns the request that the operator would send, or the driver's refusal. The
// name is an example, since each attempt has its own name.
func (d *declarations) request(t *v1alpha1.ApiToken, now time.Time) (provider.MintRequest, *provider.Refusal) {
	cluster := credname.Cluster("render")
	name := "at1-" + cluster + "-" + credname.Owner(t.Namespace, t.Name) + "-1-nnnnnnnn"
	driver := rest.New().For(*d.settings)
	facts := &account.Facts{Found: true, Driver: driver, Config: provider.Config{Settings: *d.settings}}
	facts.Capabilities = provider.CapabilitiesFor(driver, plan.GrantOf(&t.Spec))
	req := observe.Request(t, facts, cluster, name, now)
	return req, observe.Refusal(facts, req)
}

func (d *declarations) print(w io.Writer, what string, req provider.MintRequest) error {
	requests, err := rest.Render(*d.settings, req)
	if err != nil {
		return fmt.Errorf("provider %s, %s: %w", d.provider, what, err)
	}
	fmt.Fprintf(w, "# provider %s, %s\n", d.provider, what)
	for _, r := range requests {
		fmt.Fprintf(w, "\n## %s\n%s %s\n", r.What, r.Method, r.URL)
		for _, h := range r.Headers {
			fmt.Fprintln(w, h)
		}
		if r.Body != "" {
			fmt.Fprintf(w, "\n%s\n", r.Body)
		}
	}
	return nil
}
