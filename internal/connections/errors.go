package connections

import (
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
)

// MissingCredentialsError is returned if the credentials Secret, or keys in it, are missing.
type MissingCredentialsError struct {
	// Secret that should have the credentials; empty if the provider refers to none.
	Secret client.ObjectKey
	// Exists is false when there is no such Secret.
	Exists bool
	// Keys that are missing; empty if the driver does not name its keys.
	Keys []string
}

// Error implements error.
func (e *MissingCredentialsError) Error() string {
	keys := ""
	switch len(e.Keys) {
	case 0:
	case 1:
		keys = " the key " + e.Keys[0]
	default:
		keys = " the keys " + strings.Join(e.Keys[:len(e.Keys)-1], ", ") + " and " + e.Keys[len(e.Keys)-1]
	}
	switch {
	case e.Secret.Name == "" && keys != "":
		return "spec.credentialsSecretRef is not set; name a Secret there, and create it with" + keys
	case e.Secret.Name == "":
		return "spec.credentialsSecretRef is not set; name a Secret with the minting credentials there"
	case !e.Exists && keys != "":
		return fmt.Sprintf("Secret %s does not exist; create it with%s", e.Secret, keys)
	case !e.Exists:
		return fmt.Sprintf("Secret %s does not exist; create it with the minting credentials", e.Secret)
	case keys != "":
		return fmt.Sprintf("Secret %s lacks%s; add them", e.Secret, keys)
	default:
		return fmt.Sprintf("Secret %s is empty; put the minting credentials into it", e.Secret)
	}
}

// ForTenant returns the error for the users of a provider. For a ClusterTokenProvider it does not
// name the Secret, which is in the operator's namespace.
func (e *MissingCredentialsError) ForTenant(key account.Key) string {
	if key.Kind == v1alpha1.KindClusterTokenProvider {
		return fmt.Sprintf("the minting credentials of %s %q are missing", key.Kind, key.Name)
	}
	return e.Error()
}

// noDriver is the error for a provider whose spec no driver supports.
func noDriver(key account.Key) error {
	return &provider.Error{Code: provider.CodeInvalid, NotExecuted: true, Err: registry.ErrNoDriver,
		Message: fmt.Sprintf("%s: this operator has no driver for the block in its spec", key)}
}

// notRead is the error for an object that could not be read from the API server. It has the
// reason only, because the message of an API error can contain anything.
func notRead(what string, err error) error {
	reason := string(apierrors.ReasonForError(err))
	if reason == "" {
		reason = "no answer"
	}
	return &provider.Error{Code: provider.CodeUnavailable, NotExecuted: true, Err: err,
		Message: fmt.Sprintf("%s could not be read from the API server: %s", what, reason)}
}

// canceled is the error of a caller that stopped waiting for an attempt to connect.
func canceled(err error) error {
	return &provider.Error{Code: provider.CodeUnavailable, NotExecuted: true, Err: err,
		Message: "connecting to the provider was canceled"}
}
