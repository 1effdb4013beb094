package dashboard

// kind is how a panel shows its numbers.
type kind string

const (
	number    kind = "number"
	lines     kind = "lines"
	stacked   kind = "stacked lines"
	overview  kind = "table"
	timelines kind = "state timeline"
)

// query is PromQL and the legend of its series.
type query struct{ expr, legend string }

// panel is one panel. Widths of a row add up to columns.
type panel struct {
	title, about  string
	kind          kind
	unit          string
	width, height uint32
	queries       []query
	// A number is red from badFrom on, or below badFrom if badBelow is set.
	badFrom  float64
	badBelow bool
}

// row is a heading and the panels under it.
type row struct {
	title  string
	panels []panel
}

// columns are the width of the dashboard.
const columns = 24

// Selectors of what the variables of the dashboard choose.
const (
	tokens    = `{namespace=~"$namespace", provider=~"$provider"}`
	providers = `{provider=~"$provider"}`
	// controllers are the operator's own.
	controllers = `{controller=~"apitoken|tokenprovider|clustertokenprovider"}`
)

// Units of Grafana.
const (
	short   = "short"
	seconds = "s"
	date    = "dateTimeAsIso"
)

// layout is the dashboard from top to bottom.
var layout = []row{
	{"At a glance", []panel{
		{title: "Leaders", about: "1: there is exactly one leader. Standbys wait for the lease.", kind: number, unit: short, width: 4, height: 4,
			queries: []query{{`count(apitoken_operator_info) or vector(0)`, ""}}, badFrom: 1, badBelow: true},
		{title: "Ready", about: "ApiTokens whose Secret holds a live credential for the present declaration.", kind: number, unit: short, width: 4, height: 4,
			queries: []query{{`sum(apitoken_ready` + tokens + `)`, ""}}},
		{title: "Not Ready", about: "ApiTokens whose Secret does not.", kind: number, unit: short, width: 4, height: 4,
			queries: []query{{`count(apitoken_ready` + tokens + ` == 0) or vector(0)`, ""}}, badFrom: 1},
		{title: "Next expiry", about: "Time left of the credential that ends first.", kind: number, unit: seconds, width: 4, height: 4,
			queries: []query{{`min(apitoken_expiry_timestamp_seconds` + tokens + `) - time()`, ""}}, badFrom: 3600, badBelow: true},
		{title: "A user must act", about: "ApiTokens with the condition ActionRequired.", kind: number, unit: short, width: 4, height: 4,
			queries: []query{{`sum(apitoken_conditions{type="ActionRequired", status="True", provider=~"$provider"}) or vector(0)`, ""}}, badFrom: 1},
		{title: "Orphaned credentials", about: "Live at a provider, and in no ledger, as of the last sweep.", kind: number, unit: short, width: 4, height: 4,
			queries: []query{{`sum(apitoken_orphaned_credentials` + providers + `) or vector(0)`, ""}}, badFrom: 1},
	}},
	{"Expiry and rotation", []panel{
		{title: "Next to end", about: "The 20 credentials that end first.", kind: overview, unit: date, width: 8, height: 9,
			queries: []query{{`bottomk(20, max by (namespace, name, provider) (apitoken_expiry_timestamp_seconds` + tokens + `)) * 1000`, ""}}},
		{title: "Time left until expiry", about: "Of the 20 credentials that end first. A rotation lifts a line.", kind: lines, unit: seconds, width: 8, height: 9,
			queries: []query{{`bottomk(20, max by (namespace, name) (apitoken_expiry_timestamp_seconds` + tokens + `) - time())`, "{{namespace}}/{{name}}"}}},
		{title: "Time until rotation", about: "Below 0: overdue.", kind: lines, unit: seconds, width: 8, height: 9,
			queries: []query{{`bottomk(20, min by (namespace, name) (apitoken_rotation_due_timestamp_seconds` + tokens + `) - time())`, "{{namespace}}/{{name}}"}}},
		{title: "Rotations", about: "Credentials that replaced another one.", kind: stacked, unit: short, width: 6, height: 8,
			queries: []query{{`sum by (reason, result) (increase(apitoken_rotations_total[$__rate_interval]))`, "{{reason}} {{result}}"}}},
		{title: "Credentials by state", about: "In the ledgers of all ApiTokens.", kind: stacked, unit: short, width: 6, height: 8,
			queries: []query{{`sum by (state) (apitoken_credentials` + providers + `)`, "{{state}}"}}},
		{title: "Drifted credentials", about: "In use, and not at their provider as they were issued, as of the last sweep.",
			kind: stacked, unit: short, width: 6, height: 8,
			queries: []query{{`sum by (drift) (apitoken_drifted_credentials` + providers + `)`, "{{drift}}"}}},
		{title: "Gaps of RevokeFirst", about: "95th percentile of the time without access.", kind: lines, unit: seconds, width: 6, height: 8,
			queries: []query{{`histogram_quantile(0.95, sum by (le, driver) (rate(apitoken_rotation_gap_seconds_bucket[$__rate_interval])))`, "{{driver}}"}}},
	}},
	{"Failures", []panel{
		{title: "Why ApiTokens are not Ready", about: "By the reason of the condition Ready.", kind: stacked, unit: short, width: 6, height: 8,
			queries: []query{{`sum by (reason) (apitoken_conditions{type="Ready", status!="True", provider=~"$provider"})`, "{{reason}}"}}},
		{title: "Operations that did not succeed", about: "Rejected, or in doubt: the request may have been carried out.",
			kind: stacked, unit: short, width: 6, height: 8,
			queries: []query{{`sum by (driver, operation, result) (increase(apitoken_operations_total{result!="ok"}[$__rate_interval]))`,
				"{{driver}} {{operation}} {{result}}"}}},
		{title: "Revocation overdue", about: "How long ago a credential should have been revoked.", kind: lines, unit: seconds, width: 6, height: 8,
			queries: []query{{`topk(20, time() - min by (namespace, name) (apitoken_revocation_due_timestamp_seconds` + tokens + `) > 0)`, "{{namespace}}/{{name}}"}}},
		{title: "Values that cannot be read", about: "ApiTokens for which nothing is issued until their spec is corrected.",
			kind: stacked, unit: short, width: 6, height: 8,
			queries: []query{{`topk(20, sum by (namespace, name) (apitoken_unreadable` + tokens + `))`, "{{namespace}}/{{name}}"}}},
	}},
	{"Provider health", []panel{
		{title: "Ready", about: "Whether the credentials of each provider work.", kind: timelines, unit: short, width: 24, height: 6,
			queries: []query{{`max by (provider_kind, provider_namespace, provider) (apitoken_provider_ready` + providers + `)`,
				"{{provider_kind}} {{provider_namespace}} {{provider}}"}}},
		{title: "Errors by code", about: "Calls of providers that failed.", kind: stacked, unit: short, width: 8, height: 8,
			queries: []query{{`sum by (driver, code) (increase(apitoken_provider_call_errors_total[$__rate_interval]))`, "{{driver}} {{code}}"}}},
		{title: "Latency, 95th percentile", about: "Of calls, without the wait for their turn.", kind: lines, unit: seconds, width: 8, height: 8,
			queries: []query{{`histogram_quantile(0.95, sum by (le, driver, operation) (rate(apitoken_provider_call_duration_seconds_bucket[$__rate_interval])))`,
				"{{driver}} {{operation}}"}}},
		{title: "Rate limit", about: "Wait of calls for their turn (95th percentile), and calls a second that were held back.",
			kind: lines, unit: seconds, width: 8, height: 8,
			queries: []query{
				{`histogram_quantile(0.95, sum by (le, driver) (rate(apitoken_provider_rate_limit_wait_seconds_bucket[$__rate_interval])))`, "{{driver}} wait"},
				{`sum by (driver, reason) (rate(apitoken_provider_calls_held_back_total[$__rate_interval]))`, "{{driver}} held back: {{reason}}"},
			}},
	}},
	{"Operator", []panel{
		{title: "Waiting", about: "Objects that wait for a worker, or for a place.",
			kind: stacked, unit: short, width: 6, height: 8,
			queries: []query{{`sum by (controller, for) (apitoken_waiting)`, "{{controller}} for a {{for}}"}}},
		{title: "Longest wait", about: "How long the object that waits longest has waited.", kind: lines, unit: seconds, width: 6, height: 8,
			queries: []query{{`max by (controller, for) (apitoken_oldest_waiting_seconds)`, "{{controller}} for a {{for}}"}}},
		{title: "Time since the start", about: "Of the leader. Frequent starts keep attempts with an unknown outcome from being resolved.",
			kind: lines, unit: seconds, width: 6, height: 8,
			queries: []query{{`time() - max(apitoken_operator_start_timestamp_seconds)`, "operator"}}},
		{title: "Failed reconciles", about: "Reconciles that ended with an error.", kind: stacked, unit: short, width: 6, height: 8,
			queries: []query{{`sum by (controller) (increase(controller_runtime_reconcile_errors_total` + controllers + `[$__rate_interval]))`, "{{controller}}"}}},
		{title: "Time of a reconcile, 95th percentile", about: "One that mints takes as long as the provider does.", kind: lines, unit: seconds, width: 6, height: 8,
			queries: []query{{`histogram_quantile(0.95, sum by (le, controller) ` +
				`(rate(controller_runtime_reconcile_time_seconds_bucket` + controllers + `[$__rate_interval])))`,
				"{{controller}}"}}},
	}},
}

// placed is a panel and its position.
type placed struct {
	panel
	x, y uint32
}

// heading is the title of a row and its position.
type heading struct {
	title string
	y     uint32
}

// place puts the panels of every row side by side, and rows below each other.
func place() (headings []heading, panels []placed, height uint32) {
	for _, r := range layout {
		headings = append(headings, heading{r.title, height})
		height++
		var x, tallest uint32
		for _, p := range r.panels {
			if x+p.width > columns {
				x, height, tallest = 0, height+tallest, 0
			}
			panels = append(panels, placed{p, x, height})
			x, tallest = x+p.width, max(tallest, p.height)
		}
		height += tallest
	}
	return headings, panels, height
}
