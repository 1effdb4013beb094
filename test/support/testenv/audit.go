package testenv

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// auditPolicy records the user, verb and object of a request, and never its content.
// Watches are recorded when they begin, all other requests when they end.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`

// WithAudit makes the API server record every request, for Env.Requests. It also
// checks, as strict clusters do, that the author of an owner reference that blocks
// the owner's deletion may update the owner's finalizers.
func WithAudit() Option {
	return func(o *options) { o.audit = true }
}

// audit makes the directory with the policy and the log.
func audit(server *envtest.Environment) (dir string, err error) {
	dir, err = os.MkdirTemp("", "audit-")
	if err != nil {
		return "", fmt.Errorf("make a directory for the audit log: %w", err)
	}
	policy := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return dir, fmt.Errorf("write the audit policy: %w", err)
	}
	server.ControlPlane.GetAPIServer().Configure().
		Set("audit-policy-file", policy).
		Set("audit-log-path", filepath.Join(dir, logName)).
		// Blocking: a request is in the log before its answer is sent.
		Set("audit-log-mode", "blocking").
		Append("enable-admission-plugins", "OwnerReferencesPermissionEnforcement")
	return dir, nil
}

const logName = "audit.log"

// Right is one verb on one resource: what a rule grants, or what a request needs.
type Right struct{ Verb, Group, Resource string }

// String is for example "patch apitokens/status.apitoken.dev".
func (r Right) String() string { return strings.TrimSuffix(r.Verb+" "+r.Resource+"."+r.Group, ".") }

// Request is one request that the API server recorded.
type Request struct {
	Right
	Namespace, Name string
	// Refused reports that the user lacks the right.
	Refused bool
	// Lists reports that the request is a watch that begins with a list
	// (sendInitialEvents). If an API server has no such watches, client-go lists instead.
	Lists bool
}

// Requests returns the requests of a user for resources so far, in the order of the
// answers. It needs WithAudit.
func (e *Env) Requests(user string) ([]Request, error) {
	f, err := os.Open(filepath.Join(e.auditDir, logName))
	if err != nil {
		return nil, fmt.Errorf("testenv: open the audit log: %w", err)
	}
	defer f.Close()
	var out []Request
	for lines := bufio.NewReader(f); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil { // the end of the file, or an incomplete line
			return out, nil
		}
		var event struct {
			Verb, RequestURI string
			User             struct{ Username string }
			ImpersonatedUser struct{ Username string }
			ObjectRef        *struct{ APIGroup, Resource, Subresource, Namespace, Name string }
			Annotations      map[string]string
		}
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("testenv: read the audit log: %w", err)
		}
		who, o := event.User.Username, event.ObjectRef
		if event.ImpersonatedUser.Username != "" {
			who = event.ImpersonatedUser.Username
		}
		if who != user || o == nil || o.Resource == "" {
			continue
		}
		resource := o.Resource
		if o.Subresource != "" {
			resource += "/" + o.Subresource
		}
		out = append(out, Request{
			Right: Right{event.Verb, o.APIGroup, resource}, Namespace: o.Namespace, Name: o.Name,
			Refused: event.Annotations["authorization.k8s.io/decision"] == "forbid",
			Lists:   event.Verb == "watch" && strings.Contains(event.RequestURI, "sendInitialEvents=true"),
		})
	}
}

// Rights returns the rights that rules grant, sorted. Wildcards and rules with resource
// names are an error: they cannot be compared with the rights in use.
func Rights(rules []rbacv1.PolicyRule) ([]Right, error) {
	var out []Right
	for _, rule := range rules {
		for _, list := range [][]string{rule.Verbs, rule.APIGroups, rule.Resources} {
			if slices.Contains(list, "*") || len(rule.ResourceNames) > 0 {
				return nil, fmt.Errorf("testenv: the rule %+v has a wildcard or names", rule)
			}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					out = append(out, Right{verb, group, resource})
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b Right) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(out), nil
}
