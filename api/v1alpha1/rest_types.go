package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RestTemplate is a text with values in {{ }}: those of the request, such as
// {{ .name }}, and those of the credentials Secret, such as {{ .credentials.token }}.
// +kubebuilder:validation:MaxLength=2048
type RestTemplate string

// RestExpression is a CEL expression that says where an answer has a value, such
// as item.id or body.data.
// +kubebuilder:validation:MaxLength=1024
type RestExpression string

// RestHeaderName is the name of an HTTP header.
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:XValidation:rule=`self.matches('^[A-Za-z0-9_-]+$')`,messageExpression=`strings.quote(self) + ' is not the name of a header: write letters, digits, - and _, for example Authorization'`
// +kubebuilder:validation:XValidation:rule=`!(self.lowerAscii() in ['accept-encoding', 'connection', 'content-encoding', 'content-length', 'expect', 'host', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade']) && !self.lowerAscii().startsWith('proxy-')`,messageExpression=`strings.quote(self) + ' cannot be set here: the HTTP client sets this header for each request. Remove it'`
type RestHeaderName string

// RestField is a part of a declaration.
// +kubebuilder:validation:MaxLength=32
type RestField string

// RestProvider is any vendor's token API, declared in templates for what is sent
// and in expressions for what comes back; docs/providers/rest.md explains both.
// +kubebuilder:validation:XValidation:rule=`!has(self.caBundle) || self.caBundle == "" || self.caBundle.contains('-----BEGIN CERTIFICATE-----')`,message=`caBundle contains no certificate: write the certificates of the CAs as PEM text, which begins with -----BEGIN CERTIFICATE-----, not base64 of that text and not a file name`,fieldPath=".caBundle"
// +kubebuilder:validation:XValidation:rule=`!has(self.caBundle) || !self.caBundle.contains('PRIVATE KEY-----')`,message=`caBundle contains a private key, but only certificates are allowed: remove the key. Treat it as exposed, and replace it where it is used`,fieldPath=".caBundle"
// +kubebuilder:validation:XValidation:rule=`!has(self.mint.method) || self.mint.method != 'GET'`,message=`GET is not allowed here, because a GET request can be repeated, and a request that creates a credential must never be: write POST or PUT`,fieldPath=".mint.method"
// +kubebuilder:validation:XValidation:rule=`!has(self.connection) || self.connection.all(k, !(k in self.mint.secret))`,message=`a key is in both connection and mint.secret, which fill the same Secret: rename one of them`,fieldPath=".connection"
// +kubebuilder:validation:XValidation:rule=`!has(self.limits) || !has(self.limits.listed) || has(self.get)`,message=`limits.listed needs get, because a list of only the newest credentials does not show all: add get, for example get: {path: '/v1/tokens/{{ .id }}'}, or remove limits.listed if the list shows every credential`,fieldPath=".limits.listed"
type RestProvider struct {
	// baseURL is the http or https URL that the path of every request is appended
	// to, for example https://api.example.com. Use https: answers contain new secrets.
	// The baseURL of a TokenProvider must not lead to a loopback, link-local or
	// metadata address. The operator uses a new URL once that server has shown all
	// live credentials.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule=`isURL(self) && self.matches(r'^https?://([^][/?#@ :]+|\[[^][/?#@ ]+\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[^?# ]*)?$')`,messageExpression=`strings.quote(self) + ' is not a URL of an API: write http:// or https:// and a host, with an optional port from 1 to 65535 and an optional path, but without user, query or fragment, for example https://api.example.com'`
	BaseURL string `json:"baseURL"`

	// caBundle is PEM text of the private CAs that the certificate of the server
	// chains to: one or more CERTIFICATE blocks, at most 64 KiB. They are trusted in
	// addition to the system's CAs.
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	CABundle string `json:"caBundle,omitempty"`

	// headers of every request except probe, for example name: Authorization, value:
	// 'Bearer {{ .credentials.token }}'.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Headers []RestHeader `json:"headers,omitempty"`

	// account is the request that identifies the account of the credentials. Absent: the
	// operator cannot detect credentials of another account.
	// +optional
	Account *RestAccount `json:"account,omitempty"`

	// scopes that can be granted, and what the vendor calls them. Absent: every
	// scope is passed on as it is.
	// +optional
	// +listType=map
	// +listMapKey=scope
	// +kubebuilder:validation:MaxItems=64
	Scopes []RestScope `json:"scopes,omitempty"`

	// narrows lists what a credential can be limited to in addition to its scopes: buckets,
	// allowedIPs, deniedIPs, subaccounts. mint must send each. An ApiToken that declares
	// any other restriction is not issued.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4
	// +kubebuilder:validation:XValidation:rule=`self.all(f, f in ['buckets', 'allowedIPs', 'deniedIPs', 'subaccounts'])`,message=`only buckets, allowedIPs, deniedIPs or subaccounts can be listed here: remove any other value`
	Narrows []RestField `json:"narrows,omitempty"`

	// namedBucketsOnly does not allow buckets: ["*"]. Set it for a vendor that cannot
	// grant all buckets with every scope.
	// +optional
	NamedBucketsOnly bool `json:"namedBucketsOnly,omitempty"`

	// limits of the vendor.
	// +optional
	Limits RestLimits `json:"limits,omitzero"`

	// expiry says who ends a credential, and how long it may live.
	// +optional
	Expiry RestExpiry `json:"expiry,omitzero"`

	// settle is how long a request can still take effect after its client stopped
	// waiting for an answer, and how long the list can still show the previous state;
	// 1m when absent.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`duration(self) > duration('0s') && duration(self) <= duration('1h')`,message=`settle must be longer than 0s and at most 1h, for example 1m`
	Settle *metav1.Duration `json:"settle,omitempty"`

	// usableAfter is how long a new credential takes to work everywhere; it is
	// published after that. 0s when absent.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`duration(self) >= duration('0s') && duration(self) <= duration('30s')`,message=`usableAfter must be from 0s to 30s, because an attempt has one minute in total`
	UsableAfter *metav1.Duration `json:"usableAfter,omitempty"`

	// connection are keys without secrets for the Secret of the workload, for example
	// AWS_ENDPOINT_URL. Their templates can use the declared access, but no credentials.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule=`self.all(k, k.matches('^[A-Za-z0-9._-]{1,253}$') && k != '.' && !k.startsWith('..'))`,message=`a key of a Secret must have 1 to 253 letters, digits, '.', '_' or '-', must not be '.' and must not begin with '..', for example AWS_ENDPOINT_URL`
	// +kubebuilder:validation:XValidation:rule=`!self.exists(k, k.matches('(?i)^(.*JAVA_OPTIONS|.*JAVA_OPTS|.*WGETRC|.*_CA_BUNDLE|.*_PROXY|.*_RSH|ASPNETCORE_.*|AWS_CONFIG_FILE|AWS_CONTAINER_.*|AWS_EC2_METADATA_.*|AWS_SHARED_CREDENTIALS_FILE|AWS_WEB_IDENTITY_TOKEN_FILE|AZURE_AUTHORITY_HOST|AZURE_FEDERATED_TOKEN_FILE|BASHOPTS|BASH_.*|BROWSER|BUNDLE_GEMFILE|CARGO_BUILD_.*|CARGO_HOME|CARGO_TARGET_.*|CATALINA_OPTS|CDPATH|CLASSPATH|CLOUDSDK_.*|COMPLUS_.*|COMSPEC|CONTAINER_HOST|CORECLR_.*|COR_.*|CUDA_INJECTION.*|CURL_HOME|DOCKER_CERT_PATH|DOCKER_CONFIG|DOCKER_CONTEXT|DOCKER_HOST|DOCKER_TLS_VERIFY|DOTNET_.*|DYLD_.*|EDITOR|ELIXIR_ERL_OPTIONS|ENV|ERL_.*|EXINIT|FPATH|GCONV_PATH|GEM_HOME|GEM_PATH|GETCONF_DIR|GIT_.*|GLIBC_TUNABLES|GLOBIGNORE|GNUMAKEFLAGS|GNUPGHOME|GOAUTH|GODEBUG|GOENV|GOFLAGS|GOPATH|GOPROXY|GOROOT|GOSUMDB|GOTOOLCHAIN|GOTRACEBACK|GRADLE_OPTS|GUNICORN_CMD_ARGS|HELM_.*|HOME|HOSTALIASES|IFS|INPUTRC|JAVA_HOME|JAVA_TOOL_OPTIONS|JDK_JAVA.*|KRB5.*|KUBECONFIG|KUBECTL_.*|KUBERNETES_.*|KUBE_.*|LD_.*|LESS.*|LIBPATH|LOCALDOMAIN|LOCPATH|LUA_CPATH.*|LUA_INIT.*|LUA_PATH.*|MAKEFILES|MAKEFLAGS|MALLOC_.*|MANPAGER|MAVEN_OPTS|NETRC|NIS_PATH|NLSPATH|NODE_EXTRA_CA_CERTS|NODE_OPTIONS|NODE_PATH|NODE_REPL_EXTERNAL_MODULE|NODE_TLS_REJECT_UNAUTHORIZED|NODE_V8_COVERAGE|NPM_CONFIG_.*|NULLCMD|OPENSSL_.*|PAGER|PATH|PATHEXT|PATH_LOCALE|PERL.*|PHPRC|PHP_INI_SCAN_DIR|PIP_.*|PROMPT|PROMPT_COMMAND|PS0|PS1|PS2|PS3|PS4|PSMODULEPATH|PYTHON.*|READNULLCMD|RESOLV_HOST_CONF|RES_OPTIONS|RUBY.*|RUSTC.*|RUSTFLAGS|R_ENVIRON.*|R_LIBS.*|R_PROFILE.*|SHELL|SHELLOPTS|SHLIB_PATH|SSH_.*|SSLKEYLOGFILE|SSL_CERT_DIR|SSL_CERT_FILE|SUDO_.*|SVN_SSH|SYSTEMROOT|TAR_OPTIONS|TEMP|TERM|TERMCAP|TERMINFO.*|TERMPATH|TMP|TMPDIR|TMPPREFIX|TZDIR|VIMINIT|VISUAL|WINDIR|XDG_.*|ZDOTDIR|_RLD.*)$'))`,message=`a key cannot be the name of an environment variable that changes how programs run, such as PATH, LD_PRELOAD, KUBECONFIG, HTTPS_PROXY or PYTHONPATH, because pods can load the keys as variables (envFrom): choose another key, for example endpoint`
	Connection map[string]RestTemplate `json:"connection,omitempty"`

	// credential says where a credential has its properties: expressions over item,
	// which is an element of list.items, or what mint.item or get.item gives.
	// +required
	Credential RestCredential `json:"credential"`

	// mint creates a credential; it must send {{ .name }}. It is sent once.
	// +required
	Mint RestMint `json:"mint"`

	// list shows the credentials of the account.
	// +required
	List RestList `json:"list"`

	// get shows one credential by {{ .id }}; 404 means that it does not exist. Required
	// with limits.listed. After an update it costs less than the list.
	// +optional
	Get *RestGet `json:"get,omitempty"`

	// update changes a live credential without a new secret.
	// +optional
	Update *RestUpdate `json:"update,omitempty"`

	// revoke ends the credential {{ .id }}, or {{ .name }}; 404 and 410 mean that it
	// is gone.
	// +required
	Revoke RestRequest `json:"revoke"`

	// probe is a request with a minted credential, {{ .secret.token }}, that shows
	// whether it works. It is sent without the headers above, after each mint and
	// before the Secret is written. A credential that is rejected for 45 seconds is
	// revoked and not published. If there is no answer, it is published.
	// +optional
	Probe *RestProbe `json:"probe,omitempty"`

	// error says what the error answers of the vendor mean.
	// +optional
	Error RestError `json:"error,omitzero"`
}

// RestHeader is one header of a request.
type RestHeader struct {
	// name of the header, for example Authorization.
	// +required
	Name RestHeaderName `json:"name"`
	// value of the header, for example Bearer {{ .credentials.token }}.
	// +required
	Value RestTemplate `json:"value"`
}

// RestScope is one scope that can be granted.
type RestScope struct {
	// scope as ApiTokens declare it.
	// +required
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)+$')`,messageExpression=`strings.quote(self) + ' is not a scope: write two or more parts of letters, digits, _, . and -, joined by a colon, for example objectstorage:object-read-only'`
	Scope string `json:"scope"`
	// permission is what the vendor calls it; the scope itself when absent.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Permission string `json:"permission,omitempty"`
}

// RestLimits are limits of a vendor. A limit that is absent does not apply.
type RestLimits struct {
	// name is the length of the longest name that the vendor accepts for a credential,
	// in characters; 60 when absent. The operator's names have up to 48 characters and
	// are never shortened.
	// +optional
	// +kubebuilder:validation:Maximum=60
	// +kubebuilder:validation:XValidation:rule=`self >= 48`,message=`too short: the operator's names for credentials have up to 48 characters and are never shortened. If the vendor accepts 48 characters, write 48 to 60; if it accepts only shorter names, it cannot be used with rest and needs another driver`
	Name int64 `json:"name,omitempty"`
	// live is how many credentials an account may have in all.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	Live int64 `json:"live,omitempty"`
	// listed is how many credentials the list shows, if it shows only the newest. It needs
	// get, which shows a credential that the list no longer shows.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	Listed int64 `json:"listed,omitempty"`
	// scopes is how many scopes one credential may have.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	Scopes int64 `json:"scopes,omitempty"`
	// buckets is how many buckets one credential may have.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	Buckets int64 `json:"buckets,omitempty"`
}

// RestExpiry says who ends a credential.
type RestExpiry struct {
	// enforcedBy says who ends a credential at its expiry. Provider: the vendor does, at
	// the time that mint sends as {{ .expiresAt }}. Operator, the default: the operator
	// revokes it.
	// +optional
	// +kubebuilder:validation:Enum=Provider;Operator
	EnforcedBy string `json:"enforcedBy,omitempty"`
	// maxLifetime is the longest life of a credential, for example 8760h; unlimited
	// when absent.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`duration(self) >= duration('1h')`,message=`maxLifetime must be at least 1h, for example 8760h`
	MaxLifetime *metav1.Duration `json:"maxLifetime,omitempty"`
}

// RestRequest is one request.
// +kubebuilder:validation:XValidation:rule=`!has(self.body) || self.body == "" || !has(self.method) || self.method != 'GET'`,message=`a GET request cannot have a body: remove it, or choose another method`,fieldPath=".body"
type RestRequest struct {
	// method: GET, POST, PUT, PATCH or DELETE. When absent it is the usual one: POST
	// to mint, PUT to update, DELETE to revoke, GET for all others.
	// +optional
	// +kubebuilder:validation:Enum=GET;POST;PUT;PATCH;DELETE
	Method string `json:"method,omitempty"`
	// path is appended to baseURL, for example /v1/tokens/{{ .id }}. Values of {{ }} are
	// escaped.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule=`self.startsWith('/') && !self.contains('?') && !self.contains('#')`,messageExpression=`strings.quote(self) + ' is not a path: it must begin with / and contain neither ? nor #, for example /v1/tokens. Put parameters in query'`
	Path RestTemplate `json:"path"`
	// query are its parameters. A parameter with an empty value is not sent.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	Query map[string]RestTemplate `json:"query,omitempty"`
	// headers in addition to those of every request.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Headers []RestHeader `json:"headers,omitempty"`
	// body is JSON. Each {{ }} is replaced with a JSON value, including its quotes, for
	// example {"name": {{ .name }}, "permissions": {{ .permissions }}}.
	// +optional
	// +kubebuilder:validation:MaxLength=8192
	Body string `json:"body,omitempty"`
	// successStatuses are the HTTP statuses that mean success; 200 to 299 when absent.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:Minimum=200
	// +kubebuilder:validation:items:Maximum=299
	SuccessStatuses []int32 `json:"successStatuses,omitempty"`
}

// RestCredential has an expression over item for each property of a credential.
// +kubebuilder:validation:XValidation:rule=`!has(self.disabled) || !has(self.live) || self.disabled == "" || self.disabled != self.live`,message=`disabled must differ from live, which is true while the credential grants access: write an expression that is true while it is switched off, for example item.state == "paused"`,fieldPath=".disabled"
type RestCredential struct {
	// id, for example item.id: a string or an integer.
	// +required
	// +kubebuilder:validation:MinLength=1
	ID RestExpression `json:"id"`
	// name, for example item.name.
	// +required
	// +kubebuilder:validation:MinLength=1
	Name RestExpression `json:"name"`
	// live is true while it grants access, for example !item.revoked. False means that it
	// has ended and never comes back: it is not revoked again, takes no slot, and leaves
	// status.credentials. True when absent, for a vendor that removes what is revoked from
	// its list. If live can also be false for a credential that a user can switch on
	// again, declare disabled.
	// +optional
	Live RestExpression `json:"live,omitempty"`
	// disabled is true while it is switched off and can be switched on again, for example
	// item.state == "paused". Such a credential still exists, even if live is false: it
	// takes a slot, and must be revoked. Absent: this vendor cannot switch credentials off.
	// +optional
	Disabled RestExpression `json:"disabled,omitempty"`
	// createdAt, as RFC 3339 or in Unix seconds.
	// +optional
	CreatedAt RestExpression `json:"createdAt,omitempty"`
	// expiresAt, as RFC 3339 or in Unix seconds. Required when expiry.enforcedBy is Provider.
	// +optional
	ExpiresAt RestExpression `json:"expiresAt,omitempty"`
}

// RestAccount is the request that identifies the account of the credentials.
type RestAccount struct {
	RestRequest `json:",inline"`
	// id is an expression over body for the id of the account, for example body.user.id.
	// It must stay the same when the credentials are replaced.
	// +required
	// +kubebuilder:validation:MinLength=1
	ID RestExpression `json:"id"`
	// permissions is an expression over body for the list of permissions that the
	// account can grant, as the vendor names them. Other scopes are not issued.
	// +optional
	Permissions RestExpression `json:"permissions,omitempty"`
}

// RestMint is the request that creates a credential.
type RestMint struct {
	RestRequest `json:",inline"`
	// item is an expression over body for the credential, for example body.data;
	// body when absent.
	// +optional
	Item RestExpression `json:"item,omitempty"`
	// secret has an expression over item for each key of the workload's Secret, for
	// example token: item.token.
	// +required
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=8
	// +kubebuilder:validation:XValidation:rule=`self.all(k, k.matches('^[A-Za-z0-9._-]{1,253}$') && k != '.' && !k.startsWith('..'))`,message=`a key of a Secret must have 1 to 253 letters, digits, '.', '_' or '-', must not be '.' and must not begin with '..', for example token`
	// +kubebuilder:validation:XValidation:rule=`!self.exists(k, k.matches('(?i)^(.*JAVA_OPTIONS|.*JAVA_OPTS|.*WGETRC|.*_CA_BUNDLE|.*_PROXY|.*_RSH|ASPNETCORE_.*|AWS_CONFIG_FILE|AWS_CONTAINER_.*|AWS_EC2_METADATA_.*|AWS_SHARED_CREDENTIALS_FILE|AWS_WEB_IDENTITY_TOKEN_FILE|AZURE_AUTHORITY_HOST|AZURE_FEDERATED_TOKEN_FILE|BASHOPTS|BASH_.*|BROWSER|BUNDLE_GEMFILE|CARGO_BUILD_.*|CARGO_HOME|CARGO_TARGET_.*|CATALINA_OPTS|CDPATH|CLASSPATH|CLOUDSDK_.*|COMPLUS_.*|COMSPEC|CONTAINER_HOST|CORECLR_.*|COR_.*|CUDA_INJECTION.*|CURL_HOME|DOCKER_CERT_PATH|DOCKER_CONFIG|DOCKER_CONTEXT|DOCKER_HOST|DOCKER_TLS_VERIFY|DOTNET_.*|DYLD_.*|EDITOR|ELIXIR_ERL_OPTIONS|ENV|ERL_.*|EXINIT|FPATH|GCONV_PATH|GEM_HOME|GEM_PATH|GETCONF_DIR|GIT_.*|GLIBC_TUNABLES|GLOBIGNORE|GNUMAKEFLAGS|GNUPGHOME|GOAUTH|GODEBUG|GOENV|GOFLAGS|GOPATH|GOPROXY|GOROOT|GOSUMDB|GOTOOLCHAIN|GOTRACEBACK|GRADLE_OPTS|GUNICORN_CMD_ARGS|HELM_.*|HOME|HOSTALIASES|IFS|INPUTRC|JAVA_HOME|JAVA_TOOL_OPTIONS|JDK_JAVA.*|KRB5.*|KUBECONFIG|KUBECTL_.*|KUBERNETES_.*|KUBE_.*|LD_.*|LESS.*|LIBPATH|LOCALDOMAIN|LOCPATH|LUA_CPATH.*|LUA_INIT.*|LUA_PATH.*|MAKEFILES|MAKEFLAGS|MALLOC_.*|MANPAGER|MAVEN_OPTS|NETRC|NIS_PATH|NLSPATH|NODE_EXTRA_CA_CERTS|NODE_OPTIONS|NODE_PATH|NODE_REPL_EXTERNAL_MODULE|NODE_TLS_REJECT_UNAUTHORIZED|NODE_V8_COVERAGE|NPM_CONFIG_.*|NULLCMD|OPENSSL_.*|PAGER|PATH|PATHEXT|PATH_LOCALE|PERL.*|PHPRC|PHP_INI_SCAN_DIR|PIP_.*|PROMPT|PROMPT_COMMAND|PS0|PS1|PS2|PS3|PS4|PSMODULEPATH|PYTHON.*|READNULLCMD|RESOLV_HOST_CONF|RES_OPTIONS|RUBY.*|RUSTC.*|RUSTFLAGS|R_ENVIRON.*|R_LIBS.*|R_PROFILE.*|SHELL|SHELLOPTS|SHLIB_PATH|SSH_.*|SSLKEYLOGFILE|SSL_CERT_DIR|SSL_CERT_FILE|SUDO_.*|SVN_SSH|SYSTEMROOT|TAR_OPTIONS|TEMP|TERM|TERMCAP|TERMINFO.*|TERMPATH|TMP|TMPDIR|TMPPREFIX|TZDIR|VIMINIT|VISUAL|WINDIR|XDG_.*|ZDOTDIR|_RLD.*)$'))`,message=`a key cannot be the name of an environment variable that changes how programs run, such as PATH, LD_PRELOAD, KUBECONFIG, HTTPS_PROXY or PYTHONPATH, because pods can load the keys as variables (envFrom): choose another key, for example token`
	Secret map[string]RestExpression `json:"secret"`
}

// RestList is the request that lists credentials.
type RestList struct {
	RestRequest `json:",inline"`
	// items is an expression over body for the list, for example body.data.
	// +required
	// +kubebuilder:validation:MinLength=1
	Items RestExpression `json:"items"`
	// next is an expression over body, headers and page, which is the number of this
	// page. Its value is sent with the next request as {{ .page }}; "", 0 or null ends the
	// list. For example size(body.data) < 100 ? 0 : page + 1. Absent: the list has one
	// page.
	// +optional
	Next RestExpression `json:"next,omitempty"`
}

// RestGet is the request that shows one credential.
type RestGet struct {
	RestRequest `json:",inline"`
	// item is an expression over body for the credential; body when absent.
	// +optional
	Item RestExpression `json:"item,omitempty"`
}

// RestUpdate is the request that changes a credential in place.
type RestUpdate struct {
	RestRequest `json:",inline"`
	// fields are what the request can change: scopes, buckets, allowedIPs, deniedIPs,
	// subaccounts, expiry. It must send each of them.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=6
	// +kubebuilder:validation:XValidation:rule=`self.all(f, f in ['scopes', 'buckets', 'allowedIPs', 'deniedIPs', 'subaccounts', 'expiry'])`,message=`only scopes, buckets, allowedIPs, deniedIPs, subaccounts or expiry can be listed here: remove any other value`
	Fields []RestField `json:"fields"`
	// applied is an expression over item, which is the credential as the vendor shows it
	// after the update, and want, which is the declared access. It is true when they
	// agree, for example sets.equivalent(item.permissions, want.permissions).
	// +required
	// +kubebuilder:validation:MinLength=1
	Applied RestExpression `json:"applied"`
}

// RestProbe is a request with a minted credential.
type RestProbe struct {
	RestRequest `json:",inline"`
	// refusedStatuses are the HTTP statuses that mean that the credential does not work;
	// 401 and 403 when absent.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:Minimum=400
	// +kubebuilder:validation:items:Maximum=499
	RefusedStatuses []int32 `json:"refusedStatuses,omitempty"`
}

// RestError says what the error answers of the vendor mean.
type RestError struct {
	// word is an expression over body, status and headers for the vendor's own code,
	// for example body.error.code. It is shown if it is one word; longer text is never
	// shown.
	// +optional
	Word RestExpression `json:"word,omitempty"`
	// codes are what some of these words mean: Unauthenticated, PermissionDenied,
	// Invalid, QuotaExceeded, AccountBlocked, RateLimited or Unavailable.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Codes map[string]RestCode `json:"codes,omitempty"`
	// inDoubt is an expression over body, status and headers that is true if the vendor
	// may have created the credential although it answered with an error, for example
	// status == 400 && body.message.contains("already"). If the answer is not JSON, or the
	// expression fails, the mint is in doubt.
	// +optional
	InDoubt RestExpression `json:"inDoubt,omitempty"`
}

// RestCode is what an error of a vendor means.
// +kubebuilder:validation:Enum=Unauthenticated;PermissionDenied;Invalid;QuotaExceeded;AccountBlocked;RateLimited;Unavailable
type RestCode string
