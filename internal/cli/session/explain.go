package session

import (
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/clientcmd"

	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/reading"
)

// Explain adds what to do to errors of the API server that do not say it.
func (a *App) Explain(err error) string {
	switch {
	case meta.IsNoMatchError(err), reading.Unserved(err):
		return err.Error() + ": the kinds of apitoken.dev are not installed in this cluster. To see more: " + a.PluginCommand("", "doctor")
	case apierrors.IsUnauthorized(err):
		return err.Error() + ": log in again, or choose another --context"
	case apierrors.IsForbidden(err) && exit.CodeOf(err) == exit.Refused && !isExit(err):
		return err.Error() + ": choose another --context, or ask for this right. To see which rights each command needs: " + a.PluginCommand(a.GivenNamespace(), "doctor")
	case clientcmd.IsEmptyConfig(err):
		return errNoKubeconfig.Error()
	default:
		return err.Error()
	}
}

// isExit reports whether a command has explained the error already.
func isExit(err error) bool {
	var exit *exit.Error
	return errors.As(err, &exit)
}
