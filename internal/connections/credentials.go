package connections

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/quiet"
)

// credentials reads the minting credentials live, with the resourceVersion of their Secret.
// A driver whose CredentialKeys are empty needs no Secret.
func (p *Pool) credentials(ctx context.Context, o account.Object, driver provider.Driver) (map[string]provider.Value, string, error) {
	name := o.CredentialsKey(p.o.Namespace)
	var wanted []string
	d, names := provider.As[provider.CredentialKeyer](driver)
	if names {
		wanted = d.CredentialKeys()
	}
	if !o.HasCredentials() {
		if names && len(wanted) == 0 {
			return nil, "", nil
		}
		return nil, "", &MissingCredentialsError{Keys: wanted}
	}
	var secret corev1.Secret
	if err := p.o.Live.Get(quiet.Context(ctx), name, &secret); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, "", &MissingCredentialsError{Secret: name, Keys: wanted}
		}
		return nil, "", notRead(fmt.Sprintf("Secret %s", name), err)
	}
	values, err := credentialsIn(&secret, name, wanted)
	return values, secret.ResourceVersion, err
}

// credentialsIn returns the values of the wanted keys, or of all keys if the driver names
// none.
func credentialsIn(secret *corev1.Secret, name types.NamespacedName, wanted []string) (map[string]provider.Value, error) {
	values := valuesOf(secret.Data)
	var missing []string
	for _, key := range wanted {
		if values[key].Empty() {
			missing = append(missing, key)
		}
	}
	if len(missing) > 0 || len(values) == 0 {
		return nil, &MissingCredentialsError{Secret: name, Exists: true, Keys: missing}
	}
	if len(wanted) > 0 {
		maps.DeleteFunc(values, func(key string, _ provider.Value) bool { return !slices.Contains(wanted, key) })
	}
	size := 0
	for key := range values {
		size += len(secret.Data[key])
	}
	if size > maxCredentials {
		return nil, provider.Invalid(fmt.Sprintf("Secret %s holds minting credentials of more than %d KiB", name, maxCredentials>>10))
	}
	return values, nil
}

// maxCredentials is the maximum size of a provider's minting credentials, in bytes. They are
// cached with the connection, and a thousand providers can refer to one Secret of a
// megabyte. Other keys of the Secret are not cached.
const maxCredentials = 64 << 10

func valuesOf(data map[string][]byte) map[string]provider.Value {
	values := make(map[string]provider.Value, len(data))
	for key, value := range data {
		// A trailing line break comes from a shell and is not part of a credential.
		if v := strings.TrimRight(string(value), "\r\n"); v != "" {
			values[key] = provider.NewValue(v)
		}
	}
	return values
}
