package envname

import (
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/test/support/repofile"
)

func TestNamesThatChangeAProcessAreRefused(t *testing.T) {
	for _, name := range []string{
		"LD_PRELOAD", "ld_preload", "DYLD_INSERT_LIBRARIES", "PATH", "Path", "ENV", "BASH_ENV", "BASH_FUNC_ls", "PROMPT_COMMAND", "IFS", "PS4", "SHELLOPTS",
		"KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "no_proxy", "PYTHONPATH", "PYTHONSTARTUP", "NODE_OPTIONS",
		"PERL5OPT", "RUBYOPT", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "GIT_SSH_COMMAND", "EDITOR", "GCONV_PATH", "HOSTALIASES", "HOME", "TMPDIR",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "DOTNET_STARTUP_HOOKS", "SSL_CERT_FILE", "npm_config_registry",
		"AWS_CA_BUNDLE", "TAR_OPTIONS", "RSYNC_RSH", "SVN_SSH", "VIMINIT", "WGETRC", "OPENJ9_JAVA_OPTIONS", "IBM_JAVA_OPTIONS", "ES_JAVA_OPTS",
		"CLOUDSDK_PYTHON", "CARGO_BUILD_RUSTC_WRAPPER", "GOAUTH", "PIP_INDEX_URL", "GUNICORN_CMD_ARGS", "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES",
		"CUDA_INJECTION64_PATH",
	} {
		if !Refused(name) {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestNamesOfCredentialsAreAccepted(t *testing.T) {
	for _, name := range []string{
		"token", "endpoint", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "BUCKET_NAME",
		"DOCKER_PASSWORD", "NPM_TOKEN", "NODE_AUTH_TOKEN", "GITHUB_TOKEN", "GITEA_TOKEN", "DATABASE_URL", "MY_PATH", "PATH_PREFIX", "ENVIRONMENT", "HOMEPAGE",
		"proxy", "HTTP_PROXY_TOKEN", "CARGO_REGISTRY_TOKEN", "PIPELINE_TOKEN",
	} {
		if Refused(name) {
			t.Errorf("%s is refused", name)
		}
	}
}

// schema is the part of a CRD's schema that this test reads.
type schema struct {
	Properties map[string]schema `json:"properties"`
	Rules      []rule            `json:"x-kubernetes-validations"`
}

type rule struct {
	Rule string `json:"rule"`
}

// The schema refuses the keys that this package refuses, in both places where a rest provider declares keys of a Secret, in
// both kinds.
func TestSchemaRefusesTheSameNames(t *testing.T) {
	for _, kind := range []string{"tokenproviders", "clustertokenproviders"} {
		var crd struct {
			Spec struct {
				Versions []struct {
					Schema struct {
						OpenAPIV3Schema schema `json:"openAPIV3Schema"`
					} `json:"schema"`
				} `json:"versions"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal([]byte(repofile.Read(t, "config/crd/bases/apitoken.dev_"+kind+".yaml")), &crd); err != nil || len(crd.Spec.Versions) == 0 {
			t.Fatalf("%s has %d versions: %v", kind, len(crd.Spec.Versions), err)
		}
		for _, version := range crd.Spec.Versions {
			rest := version.Schema.OpenAPIV3Schema.Properties["spec"].Properties["rest"]
			for field, s := range map[string]schema{
				"connection": rest.Properties["connection"], "mint.secret": rest.Properties["mint"].Properties["secret"],
			} {
				if !repeats(s) {
					t.Errorf("%s: spec.rest.%s has no rule with this pattern; write it into the marker and run make manifests:\n%s", kind, field, Pattern)
				}
			}
		}
	}
}

func repeats(s schema) bool {
	return slices.ContainsFunc(s.Rules, func(r rule) bool { return strings.Contains(r.Rule, "'"+Pattern+"'") })
}
