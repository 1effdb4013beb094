// Package quiet keeps Secrets out of the log.
package quiet

import (
	"context"

	"github.com/go-logr/logr"
)

// Context returns a context without a logger, for a request that carries or returns a
// Secret. At a high verbosity, the client library logs complete requests and answers to
// the logger of the context.
func Context(ctx context.Context) context.Context { return logr.NewContext(ctx, logr.Discard()) }
