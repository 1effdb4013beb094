// Package envname has the names of environment variables that change how any process runs. A
// key of a published Secret must not have such a name: pods read the keys as variables with
// envFrom, and kubectl apitoken env passes them to a command. Otherwise anyone who can write
// the Secret, or declare its keys, could run code in the workload or read its traffic.
package envname

import (
	"regexp"
	"slices"
	"strings"
)

// groups has the refused names, with a source for each group. A * matches any characters.
// Names are compared without case, because proxies are read in both cases and Windows
// ignores case.
//
// Add a name if its value alone can load code, start a program, make a client use another
// server or proxy, or make it trust another one. Do not add names of credentials, or names
// that only the client of a credential reads: AWS_REGION, DOCKER_PASSWORD, NPM_TOKEN and
// NODE_AUTH_TOKEN can be keys of a Secret.
var groups = [][]string{
	// The dynamic linker and the C library: glibc, sysdeps/generic/unsecvars.h, ld.so(8); dyld(1) of macOS; rld(1).
	{
		"LD_*", "DYLD_*", "_RLD*", "LIBPATH", "SHLIB_PATH", "GCONV_PATH", "GETCONF_DIR", "GLIBC_TUNABLES", "HOSTALIASES", "LOCALDOMAIN",
		"LOCPATH", "MALLOC_*", "NIS_PATH", "NLSPATH", "PATH_LOCALE", "RESOLV_HOST_CONF", "RES_OPTIONS", "TMPDIR", "TMP", "TEMP", "TZDIR",
	},
	// Shells: sudo, plugins/sudoers/env.c (initial_badenv_table); bash(1); zshparam(1).
	{
		"PATH", "IFS", "CDPATH", "ENV", "BASH_*", "BASHOPTS", "SHELLOPTS", "PROMPT_COMMAND", "PS0", "PS1", "PS2", "PS3", "PS4", "PROMPT",
		"GLOBIGNORE", "FPATH", "ZDOTDIR", "NULLCMD", "READNULLCMD", "TMPPREFIX", "INPUTRC", "SHELL", "TERM", "TERMINFO*", "TERMCAP", "TERMPATH",
	},
	// Where programs read their settings: environ(7); the XDG Base Directory Specification; krb5.conf(5); curl(1).
	{"HOME", "XDG_*", "KRB5*", "CURL_HOME", "NETRC", "*WGETRC", "GNUPGHOME"},
	// Programs that other programs start: environ(7), git(1), less(1), ssh(1), sudo(8), make(1), rsync(1), svn(1), tar(1), vim(1).
	{
		"EDITOR", "VISUAL", "PAGER", "MANPAGER", "BROWSER", "LESS*", "GIT_*", "SSH_*", "SUDO_*", "MAKEFLAGS", "GNUMAKEFLAGS", "MAKEFILES",
		"*_RSH", "SVN_SSH", "TAR_OPTIONS", "VIMINIT", "EXINIT",
	},
	// Proxies and trust: curl(1), Go's net/http.ProxyFromEnvironment, openssl-env(7), the documentation of requests and NSS.
	{"*_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE", "*_CA_BUNDLE", "OPENSSL_*"},
	// Clients of clusters and containers: kubectl, client-go's rest.InClusterConfig, helm, docker.
	{
		"KUBECONFIG", "KUBE_*", "KUBECTL_*", "KUBERNETES_*", "HELM_*", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_CERT_PATH",
		"DOCKER_TLS_VERIFY", "CONTAINER_HOST",
	},
	// Variables that make a cloud SDK send a file of the pod, such as its service account
	// token, to a server in another variable: the AWS SDKs and Tools Reference Guide; azidentity.
	{
		"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_*", "AWS_EC2_METADATA_*",
		"AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST", "CLOUDSDK_*",
	},
	// Interpreters and run-times: python(1), perlrun(1), ruby(1), node(1), npm config(7), the java command, .NET's
	// environment variables, php(1), lua(1), go help environment, erl(1), R's Startup, Cargo's environment variables.
	{
		"PYTHON*", "PERL*", "RUBY*", "GEM_HOME", "GEM_PATH", "BUNDLE_GEMFILE", "NODE_OPTIONS", "NODE_PATH", "NODE_EXTRA_CA_CERTS",
		"NODE_TLS_REJECT_UNAUTHORIZED", "NODE_REPL_EXTERNAL_MODULE", "NODE_V8_COVERAGE", "NPM_CONFIG_*", "JAVA_TOOL_OPTIONS", "JDK_JAVA*",
		"*JAVA_OPTIONS", "*JAVA_OPTS", "JAVA_HOME", "CLASSPATH", "MAVEN_OPTS", "GRADLE_OPTS", "CATALINA_OPTS", "DOTNET_*", "CORECLR_*", "COR_*",
		"COMPLUS_*", "PHPRC", "PHP_INI_SCAN_DIR", "LUA_INIT*", "LUA_PATH*", "LUA_CPATH*", "GODEBUG", "GOFLAGS", "GOENV", "GOPROXY", "GOROOT",
		"GOPATH", "GOTOOLCHAIN", "GOTRACEBACK", "ERL_*", "ELIXIR_ERL_OPTIONS", "R_PROFILE*", "R_ENVIRON*", "R_LIBS*", "RUSTC*", "RUSTFLAGS",
		"CARGO_HOME", "CARGO_BUILD_*", "CARGO_TARGET_*", "GOAUTH", "GOSUMDB", "PIP_*", "GUNICORN_CMD_ARGS", "ASPNETCORE_*", "CUDA_INJECTION*",
	},
	// Windows: cmd and PowerShell.
	{"PATHEXT", "COMSPEC", "SYSTEMROOT", "WINDIR", "PSMODULEPATH"},
}

// Pattern is a regular expression (RE2) that matches exactly the refused names. The schema of
// the rest driver repeats it in CEL, which has the same syntax.
var Pattern = pattern()

var refused = regexp.MustCompile(Pattern)

var valid = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Valid reports whether a shell accepts a name for a variable.
func Valid(name string) bool { return valid.MatchString(name) }

// Refused reports whether a variable of this name changes how a process runs. A key of a
// published Secret must not have such a name.
func Refused(name string) bool { return refused.MatchString(name) }

func pattern() string {
	names := slices.Concat(groups...)
	slices.Sort(names)
	return "(?i)^(" + strings.ReplaceAll(strings.Join(slices.Compact(names), "|"), "*", ".*") + ")$"
}
