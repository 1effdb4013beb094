// Package chart tests charts/apitoken-operator: the templates against golden
// files, a real API server and the linters, and the rights by running the operator.
package chart

//go:generate go run ./crds
//go:generate go tool -modfile=tools/helm-docs/go.mod helm-docs --chart-search-root=../../charts --log-level=warning
