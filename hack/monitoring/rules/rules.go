// Package rules has the alerts of the operator. Each has a runbook in docs/runbooks.
package rules

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Alert is one alert.
type Alert struct {
	Name string
	// Expr is PromQL; For is how long it must hold.
	Expr, For string
	// Severity is critical (a workload lost access or is about to, or nothing works)
	// or warning (a user must act, in working hours).
	Severity string
	// Summary and Description are templates of Prometheus.
	Summary, Description string
}

// without drops the labels of the scraped process: a restart must not end
// an alert or fire it again.
const without = "without (instance, pod, container, endpoint, service, job)"

// byProvider groups series by provider.
const byProvider = "by (cluster, provider_kind, provider_namespace, provider)"

// ofToken and ofProvider name an ApiToken and a provider in a sentence. Without series per
// ApiToken the name is missing.
const (
	ofToken    = `{{ $labels.namespace }}/{{ or $labels.name "*" }}`
	ofProvider = `{{ $labels.provider_kind }} {{ with $labels.provider_namespace }}{{ . }}/{{ end }}{{ $labels.provider }}`
)

// Alerts are all of them.
var Alerts = []Alert{
	{
		Name: "ApiTokenOperatorDown", For: "10m", Severity: "critical",
		Expr:        "absent(apitoken_operator_info)",
		Summary:     "No apitoken-operator is running as leader.",
		Description: "Nothing is issued, rotated or revoked, and no other alert of the operator can fire. Credentials whose time comes end without a successor.",
	},
	{
		// A start changes the series, whichever pod it is. Six starts fit into 15 minutes when
		// each process lives for 150 seconds, which an attempt needs to settle.
		Name: "ApiTokenOperatorRestarting", For: "5m", Severity: "warning",
		Expr:    "changes(max by (cluster) (apitoken_operator_start_timestamp_seconds)[15m:30s]) >= 4",
		Summary: "apitoken-operator was started {{ $value }} times in 15 minutes.",
		Description: "An operator that is ended within 150 seconds again and again resolves no attempt whose outcome is unknown. " +
			"Such attempts fill the ledgers of their ApiTokens, and then nothing more is issued.",
	},
	{
		Name: "ApiTokenNotReady", For: "15m", Severity: "warning",
		Expr:        "max " + without + " (apitoken_ready) == 0",
		Summary:     "ApiToken " + ofToken + " is not Ready.",
		Description: "Its Secret has held no live credential that matches the declaration for 15 minutes. Provider: {{ $labels.provider_kind }} {{ $labels.provider }}.",
	},
	{
		Name: "ApiTokenExpiring", For: "1m", Severity: "critical",
		Expr: "(max " + without + " (apitoken_expiry_timestamp_seconds) - time())\n" +
			"  < (max " + without + " (apitoken_expiry_timestamp_seconds) - min " + without + " (apitoken_rotation_due_timestamp_seconds)) / 2",
		Summary: "The credential of ApiToken " + ofToken + " is about to end, and has no successor.",
		Description: "{{ if gt $value 0.0 }}It ends in {{ $value | humanizeDuration }}{{ else }}It has ended{{ end }}: " +
			"more than half of the time that was left for its rotation is over. Provider: {{ $labels.provider_kind }} {{ $labels.provider }}.",
	},
	{
		Name: "ApiTokenRotationStuck", For: "5m", Severity: "warning",
		Expr:        "time() - min " + without + " (apitoken_rotation_due_timestamp_seconds) > 1800",
		Summary:     "The rotation of ApiToken " + ofToken + " is overdue.",
		Description: "It has been due for {{ $value | humanizeDuration }}, and the credential in use is still the old one. Provider: {{ $labels.provider_kind }} {{ $labels.provider }}.",
	},
	{
		Name: "ApiTokenRevokeFailing", For: "5m", Severity: "warning",
		Expr:        "time() - min " + without + " (apitoken_revocation_due_timestamp_seconds) > 1800",
		Summary:     "A credential of ApiToken " + ofToken + " is not revoked.",
		Description: "Its revocation is overdue by {{ $value | humanizeDuration }}, and it may still grant access. Provider: {{ $labels.provider_kind }} {{ $labels.provider }}.",
	},
	{
		Name: "ApiTokenOrphanedCredentials", For: "15m", Severity: "warning",
		Expr:        "max " + byProvider + " (apitoken_orphaned_credentials) > 0",
		Summary:     "Live credentials at " + ofProvider + " belong to no ApiToken.",
		Description: "The last sweep found {{ $value }} that this cluster made and that no ledger knows.",
	},
	{
		Name: "ApiTokenCredentialsDrifted", For: "15m", Severity: "warning",
		Expr:        "max by (cluster, provider_kind, provider_namespace, provider, drift) (apitoken_drifted_credentials) > 0",
		Summary:     "Credentials in use at " + ofProvider + " are not as they were issued: {{ $labels.drift }}.",
		Description: "The last sweep found {{ $value }}. Missing and Disabled ones give their workload no access.",
	},
	{
		Name: "ApiTokenSlotsExhausted", For: "30m", Severity: "warning",
		Expr:        "sum " + byProvider + ` (apitoken_conditions{type=~"Reconciling|Stalled", status="True", reason=~"SlotsExhausted|ProviderShared"}) > 0`,
		Summary:     "The account of " + ofProvider + " has no room for another credential.",
		Description: "{{ $value }} ApiTokens wait for a free slot.",
	},
	{
		Name: "ApiTokenActionRequired", For: "10m", Severity: "warning",
		Expr: "sum by (cluster, provider_kind, provider_namespace, provider, reason) " +
			`(apitoken_conditions{type="ActionRequired", status="True"}) > 0`,
		Summary:     "A user must act at " + ofProvider + ": {{ $labels.reason }}.",
		Description: "{{ $value }} ApiTokens wait for it. The condition ActionRequired of each has the values to fill in.",
	},
	{
		Name: "ApiTokenWaitingLong", For: "5m", Severity: "warning",
		Expr:        "max by (cluster, controller, for) (apitoken_oldest_waiting_seconds) > 300",
		Summary:     "Objects of the controller {{ $labels.controller }} wait long for a {{ $labels.for }}.",
		Description: "The first of them has waited for {{ $value | humanizeDuration }} to be issued, rotated, revoked or checked.",
	},
	{
		Name: "ApiTokenProviderDown", For: "10m", Severity: "critical",
		Expr:        "max " + without + " (apitoken_provider_ready) == 0",
		Summary:     ofProvider + " is not Ready.",
		Description: "Its credentials have not worked for 10 minutes: nothing is issued, rotated or revoked there (driver {{ $labels.driver }}).",
	},
}

// The form of a file of rules.
type (
	file struct {
		Groups []group `yaml:"groups"`
	}
	group struct {
		Name  string `yaml:"name"`
		Rules []rule `yaml:"rules"`
	}
	rule struct {
		Alert       string            `yaml:"alert"`
		Expr        string            `yaml:"expr"`
		For         string            `yaml:"for"`
		Labels      map[string]string `yaml:"labels"`
		Annotations map[string]string `yaml:"annotations"`
	}
)

// Render returns the file of rules. runbooks is the folder or the address of the runbooks,
// with or without a trailing slash.
func Render(runbooks string) ([]byte, error) {
	g := group{Name: "apitoken-operator"}
	for _, a := range Alerts {
		g.Rules = append(g.Rules, rule{
			Alert: a.Name, Expr: a.Expr, For: a.For, Labels: map[string]string{"severity": a.Severity},
			Annotations: map[string]string{
				"summary": a.Summary, "description": a.Description,
				"runbook_url": strings.TrimSuffix(runbooks, "/") + "/" + a.Name + ".md",
			},
		})
	}
	out := bytes.NewBufferString("# Generated by hack/monitoring; change hack/monitoring/rules/rules.go instead.\n")
	encoder := yaml.NewEncoder(out)
	encoder.SetIndent(2)
	if err := encoder.Encode(file{Groups: []group{g}}); err != nil {
		return nil, fmt.Errorf("writing the alerts: %w", err)
	}
	return out.Bytes(), nil
}
