package cli_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/internal/cli"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/test/support/repofile"
)

// docs/kubectl-plugin.md contains the golden files, a section for every command, and every exit code.
func TestPageShowsGoldenFilesCommandsAndExitCodes(t *testing.T) {
	document := repofile.Read(t, "docs/kubectl-plugin.md")
	for _, name := range []string{"list.txt", "list-expiring.txt", "status.txt", "status-wrong.txt", "tree.txt", "plan.txt", "doctor.txt", "import.txt"} {
		if golden := repofile.Read(t, "internal/cli/testdata/"+name); !strings.Contains(document, golden) {
			t.Errorf("docs/kubectl-plugin.md does not show testdata/%s:\n%s", name, golden)
		}
	}
	var want, got []string
	for _, cmd := range cli.New(session.Env{}).Commands() {
		if name := cmd.Name(); name != "completion" && name != "help" {
			want = append(want, name)
		}
		if cmd.Short == "" || !strings.Contains(document, "kubectl apitoken "+cmd.Name()) {
			t.Errorf("docs/kubectl-plugin.md shows no call of %s", cmd.Name())
		}
	}
	for _, m := range regexp.MustCompile("(?m)^### (.+)$").FindAllStringSubmatch(document, -1) {
		got = append(got, strings.Split(m[1], ", ")...)
	}
	same := cmp.Transformer("set", func(names []string) map[string]bool {
		set := map[string]bool{}
		for _, n := range names {
			set[n] = true
		}
		return set
	})
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("the sections of docs/kubectl-plugin.md (-commands +sections):\n%s", diff)
	}
	for _, code := range []exit.Code{exit.OK, exit.Failed, exit.Usage, exit.TimedOut, exit.Refused, exit.NotFound, exit.CannotRun, exit.NoCommand, exit.Interrupted} {
		if !strings.Contains(document, fmt.Sprintf("| %d | ", code)) {
			t.Errorf("docs/kubectl-plugin.md does not list exit code %d", code)
		}
	}
}

// The test renders the template as krew-release-bot does, and checks the rules of krew for manifests.
func TestKrewManifestNamesTheArchivesOfARelease(t *testing.T) {
	var archives []string
	functions := template.FuncMap{"addURIAndSha": func(url, tag string) (string, error) {
		var out strings.Builder
		err := template.Must(template.New("url").Parse(url)).Execute(&out, map[string]string{"TagName": tag})
		archives = append(archives, out.String()[strings.LastIndex(out.String(), "/")+1:])
		return "uri: " + out.String() + "\n    sha256: " + strings.Repeat("a", 64), err
	}}
	parsed, err := template.New("krew").Funcs(functions).Parse(repofile.Read(t, "hack/krew/apitoken.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var filled strings.Builder
	if err := parsed.Execute(&filled, map[string]string{"TagName": "v1.2.3"}); err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
		Spec             struct {
			Version, Homepage, ShortDescription, Description, Caveats string
			Platforms                                                 []struct {
				URI, Sha256, Bin string
				Selector         struct{ MatchLabels map[string]string }
			}
		}
	}
	if err := yaml.UnmarshalStrict([]byte(filled.String()), &manifest); err != nil {
		t.Fatalf("%v in\n%s", err, filled.String())
	}
	if manifest.APIVersion != "krew.googlecontainertools.github.com/v1alpha2" || manifest.Kind != "Plugin" || manifest.Metadata.Name != "apitoken" {
		t.Errorf("it is %s %s %s", manifest.APIVersion, manifest.Kind, manifest.Metadata.Name)
	}
	if s := manifest.Spec; s.Version != "v1.2.3" || s.Homepage == "" || s.Description == "" || s.ShortDescription != cli.New(session.Env{}).Short || len(s.ShortDescription) > 50 {
		t.Errorf("it says %+v", s)
	}
	var platforms []string
	for _, p := range manifest.Spec.Platforms {
		platform := p.Selector.MatchLabels["os"] + "_" + p.Selector.MatchLabels["arch"]
		platforms = append(platforms, platform)
		if !strings.Contains(p.URI, platform) || len(p.Sha256) != 64 || strings.HasSuffix(p.Bin, ".exe") != strings.HasPrefix(platform, "windows") {
			t.Errorf("the platform %s has %+v", platform, p)
		}
	}
	want := []string{
		"kubectl-apitoken_v1.2.3_linux_amd64.tar.gz", "kubectl-apitoken_v1.2.3_linux_arm64.tar.gz", "kubectl-apitoken_v1.2.3_darwin_amd64.tar.gz",
		"kubectl-apitoken_v1.2.3_darwin_arm64.tar.gz", "kubectl-apitoken_v1.2.3_windows_amd64.zip",
	}
	if diff := cmp.Diff(want, archives); diff != "" || len(platforms) != len(want) {
		t.Errorf("the archives (-release +manifest):\n%s", diff)
	}
}
