// The documents as a site; a module of its own so that the operator's dependencies stay
// small.
module apitoken.dev/operator/hack/docs/site

go 1.26.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/yuin/goldmark v1.8.7
)
