package doctor

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/installation"
	"apitoken.dev/operator/internal/cli/reading"
	"apitoken.dev/operator/internal/plan"
)

// server asks the API server for its version and compares the clocks. It reports
// whether it answers.
func (e *examination) server(ctx context.Context) bool {
	const check = "API server"
	do := "Check --context, the network and the kubeconfig: " + e.KubectlCommand("", "cluster-info")
	before := e.Clock.Now()
	date, err := e.serverDate(ctx)
	middle := before.Add(e.Clock.Now().Sub(before) / 2)
	if err != nil {
		e.fail(check, do, "does not answer: %v", err)
		return false
	}
	dc, err := discovery.NewDiscoveryClientForConfig(e.RESTConfig)
	if err != nil {
		e.fail(check, do, "%v", err)
		return false
	}
	version, err := dc.ServerVersion()
	if err != nil {
		e.fail(check, do, "%v", err)
		return false
	}
	e.ok(check, "%s answers, version %s", e.RESTConfig.Host, version.GitVersion)
	switch skew := middle.Sub(date); {
	case date.IsZero():
		e.warn("clock", "Compare the clocks yourself, or ask for a proxy that keeps the header Date.", "the API server sends no date: the clocks cannot be compared")
	case skew.Abs() > installation.SkewWarn:
		e.warn("clock", "Set this machine's clock. Until then times such as \"in 3h\" and --expiring-within are wrong here; the operator uses its own clock.",
			"this machine is %s %s the API server", skew.Abs().Round(time.Second), direction(skew))
	default:
		e.ok("clock", "this machine and the API server agree to within %s", plan.Short(installation.SkewWarn))
	}
	return true
}

func direction(skew time.Duration) string {
	if skew > 0 {
		return "ahead of"
	}
	return "behind"
}

// serverDate is the Date header of the answer, for any status code.
func (e *examination) serverDate(ctx context.Context) (time.Time, error) {
	base, _, err := rest.DefaultServerUrlFor(e.RESTConfig)
	if err != nil {
		return time.Time{}, err
	}
	hc, err := rest.HTTPClientFor(e.RESTConfig)
	if err != nil {
		return time.Time{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath("version").String(), http.NoBody)
	if err != nil {
		return time.Time{}, err
	}
	resp, err := hc.Do(req)
	if err != nil {
		return time.Time{}, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return time.Time{}, nil // an answer without a date is an answer
	}
	return date, nil
}

// kinds looks whether the CRDs are installed and this plugin's version is served.
func (e *examination) kinds() bool {
	const check = "CRDs"
	do := "Install the CRDs of this version (make install): " + e.KubectlCommand("", "apply", "--server-side", "-k", "config/crd")
	dc, err := discovery.NewDiscoveryClientForConfig(e.RESTConfig)
	if err != nil {
		e.fail(check, do, "%v", err)
		return false
	}
	list, err := dc.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	return reading.Match(reading.Object(list, err), func(list *metav1.APIResourceList) bool { return e.allServed(list, do) }, func() bool {
		e.fail(check, do, "%s is not served%s", v1alpha1.GroupVersion, otherVersions(dc))
		return false
	}, func(err error) bool {
		e.fail(check, "Check the API server, then run this command again: "+e.KubectlCommand("", "cluster-info"), "could not read: %v", err)
		return false
	})
}

// allServed looks for every kind and its status.
func (e *examination) allServed(list *metav1.APIResourceList, do string) bool {
	const check = "CRDs"
	var missing []string
	for _, kind := range []string{"apitokens", "tokenproviders", "clustertokenproviders"} {
		for _, want := range []string{kind, kind + "/status"} {
			if !slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == want }) {
				missing = append(missing, want)
			}
		}
	}
	if len(missing) > 0 {
		e.fail(check, do, "%s lacks %s", v1alpha1.GroupVersion, strings.Join(missing, ", "))
		return false
	}
	e.ok(check, "%s is served", v1alpha1.GroupVersion)
	return true
}

// otherVersions names the versions of the group that are served instead.
func otherVersions(dc *discovery.DiscoveryClient) string {
	groups, err := dc.ServerGroups()
	if err != nil {
		return ""
	}
	for _, g := range groups.Groups {
		if g.Name != v1alpha1.GroupVersion.Group {
			continue
		}
		names := make([]string, 0, len(g.Versions))
		for _, v := range g.Versions {
			names = append(names, v.Version)
		}
		return ", but " + strings.Join(names, ", ") + " is: use the plugin of that version"
	}
	return ""
}

// deployment looks for the operator: its Deployment, and the lease of its leader.
func (e *examination) deployment(ctx context.Context) {
	const check = "operator"
	missing := false
	installation.Deployments(ctx, e.Session, e.operator).Switch(e.available, func() { missing = true }, func(err error) {
		e.unread(check, installation.DeploymentAccess(e.operator), err)
	})
	held, unseen := false, false
	installation.Lease(ctx, e.Session, e.operator).Switch(func(l *coordinationv1.Lease) { held = e.leads(&l.Spec) }, func() {}, func(err error) {
		unseen = true
		e.unread("leader", installation.LeaseAccess(e.operator), err)
	})
	const none = "there is no Deployment with app.kubernetes.io/name=%s in namespace %s"
	switch {
	case !missing || held:
	case unseen:
		e.warn(check, e.toInstall(), none, installation.Name, e.operator)
	default:
		e.fail(check, e.toInstall(), none+", and no process holds its lease", installation.Name, e.operator)
	}
}

func (e *examination) toInstall() string {
	return e.orLeaving("Install the operator (docs/install.md), or name its namespace with --operator-namespace: " +
		e.KubectlCommand("", "get", "deployments", "-A", "-l", "app.kubernetes.io/name="+installation.Name))
}

func (e *examination) available(found []appsv1.Deployment) {
	const check = "operator"
	available := 0
	for i := range found {
		d := &found[i]
		available += int(d.Status.AvailableReplicas)
		if d.Status.AvailableReplicas == 0 {
			do := "See why its pods do not run: " + e.KubectlCommand(e.operator, "describe", "pods", "-l", "app.kubernetes.io/name="+installation.Name)
			e.fail(check, e.orLeaving(do), "Deployment %s/%s has no available replica", d.Namespace, d.Name)
		}
	}
	if available > 0 {
		e.ok(check, "%d available in namespace %s", available, e.operator)
	}
}

// leads reports whether a process holds the operator's Lease.
func (e *examination) leads(spec *coordinationv1.LeaseSpec) bool {
	const check = "leader"
	if spec.HolderIdentity == nil || *spec.HolderIdentity == "" || spec.RenewTime == nil {
		e.fail(check, e.orLeaving("See the operator's log: "+e.KubectlCommand(e.operator, "logs", "deploy/"+installation.Name)),
			"no process holds lease %s/%s", e.operator, installation.Name)
		return false
	}
	term := 15 * time.Second
	if spec.LeaseDurationSeconds != nil {
		term = time.Duration(*spec.LeaseDurationSeconds) * time.Second
	}
	if age := e.Clock.Now().Sub(spec.RenewTime.Time); age > term+installation.LeaseSlack {
		e.fail(check, e.orLeaving("See whether it runs: "+e.KubectlCommand(e.operator, "get", "pods")),
			"%s holds the lease and has not renewed it for %s: no operator works", *spec.HolderIdentity, plan.Short(age.Round(time.Second)))
		return false
	}
	e.ok(check, "%s works", *spec.HolderIdentity)
	return true
}

// right is something that commands need to be allowed to do.
type right struct {
	verb, group, resource string
	cluster               bool
	commands              string
}

var neededRights = []right{
	{"get", "apitoken.dev", "apitokens", false, "every command"},
	{"list", "apitoken.dev", "apitokens", false, "list, doctor or completion"},
	{"patch", "apitoken.dev", "apitokens", false, "rotate, suspend, resume or plan"},
	{"create", "apitoken.dev", "apitokens", false, "plan of a new ApiToken"},
	{"delete", "apitoken.dev", "apitokens", false, "revoke"},
	{"get", "apitoken.dev", "tokenproviders", false, "status, tree, plan, handover or env"},
	{"get", "apitoken.dev", "clustertokenproviders", true, "status, tree, plan, handover or env"},
	{"get", "", "secrets", false, "env, import, tree or plan"},
	{"create", "", "secrets", false, "handover"},
	{"list", "", "pods", false, "tree, or revoke to say who loses access,"},
}

// rights asks the API server what the user may do.
func (e *examination) rights(ctx context.Context) {
	const check = "rights"
	var lacking int
	for _, r := range neededRights {
		namespace := e.Namespace
		if r.cluster {
			namespace = ""
		}
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: r.verb, Group: r.group, Resource: r.resource},
		}}
		if err := e.Client.Create(ctx, review); err != nil {
			e.unread(check, hint.Access{Verb: "create", Group: authorizationv1.GroupName, Resource: "selfsubjectaccessreviews"}, err)
			return
		}
		if review.Status.Allowed {
			continue
		}
		lacking++
		do := fmt.Sprintf("Ask an administrator for this right, which %s needs: config/rbac has roles to bind.", r.commands)
		if r.cluster {
			do = hint.ToReadClusterProviders()
		}
		name := strings.TrimSuffix(r.resource+"."+r.group, ".")
		if r.verb == "get" && r.resource == "apitokens" {
			e.fail(check, do, "you may not %s %s in namespace %s", r.verb, name, e.Namespace)
		} else {
			e.warn(check, do, "you may not %s %s", r.verb, name)
		}
	}
	if lacking == 0 {
		e.ok(check, "you have all rights that the commands need in namespace %s", e.Namespace)
	}
}
