// Pins cert-manager, whose CRDs the chart's Certificate is checked against; find it with:
// go list -modfile=hack/chart/tools/cert-manager/go.mod -m -f '{{.Dir}}' github.com/cert-manager/cert-manager
module apitoken.dev/operator/hack/chart/tools/cert-manager

go 1.26.0

require github.com/cert-manager/cert-manager v1.21.2
