package registry

import (
	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/drivers/rest"
)

// RestSettings are the settings of the rest driver.
func RestSettings(spec *v1alpha1.RestProvider) rest.Settings {
	out := rest.Settings{
		BaseURL: spec.BaseURL,
		Headers: restHeaders(spec.Headers), Narrows: restFields(spec.Narrows), NamedBucketsOnly: spec.NamedBucketsOnly,
		Limits: rest.Limits{
			Name: int(spec.Limits.Name), Live: int(spec.Limits.Live), Listed: int(spec.Limits.Listed),
			Scopes: int(spec.Limits.Scopes), Buckets: int(spec.Limits.Buckets),
		},
		Expiry:     rest.Expiry{EnforcedBy: provider.Enforcer(spec.Expiry.EnforcedBy)},
		Connection: texts(spec.Connection),
		Credential: rest.Credential{
			ID: string(spec.Credential.ID), Name: string(spec.Credential.Name), Live: string(spec.Credential.Live), Disabled: string(spec.Credential.Disabled),
			CreatedAt: string(spec.Credential.CreatedAt), ExpiresAt: string(spec.Credential.ExpiresAt),
		},
		Mint:   rest.Mint{Request: restRequest(spec.Mint.RestRequest), Item: string(spec.Mint.Item), Secret: texts(spec.Mint.Secret)},
		List:   rest.List{Request: restRequest(spec.List.RestRequest), Items: string(spec.List.Items), Next: string(spec.List.Next)},
		Revoke: restRequest(spec.Revoke),
		Error: rest.Errors{
			Word: string(spec.Error.Word), Codes: restCodes(spec.Error.Codes), InDoubt: string(spec.Error.InDoubt),
		},
	}
	for _, s := range spec.Scopes {
		out.Scopes = append(out.Scopes, rest.Scope{Scope: s.Scope, Permission: s.Permission})
	}
	restTimes(spec, &out)
	restOptional(spec, &out)
	return out
}

func restTimes(spec *v1alpha1.RestProvider, out *rest.Settings) {
	if d := spec.Expiry.MaxLifetime; d != nil {
		out.Expiry.MaxLifetime = d.Duration
	}
	if d := spec.Settle; d != nil {
		out.Settle = d.Duration
	}
	if d := spec.UsableAfter; d != nil {
		out.UsableAfter = d.Duration
	}
}

func restOptional(spec *v1alpha1.RestProvider, out *rest.Settings) {
	if a := spec.Account; a != nil {
		out.Account = &rest.Account{Request: restRequest(a.RestRequest), ID: string(a.ID), Permissions: string(a.Permissions)}
	}
	if g := spec.Get; g != nil {
		out.Get = &rest.Get{Request: restRequest(g.RestRequest), Item: string(g.Item)}
	}
	if u := spec.Update; u != nil {
		out.Update = &rest.Update{Request: restRequest(u.RestRequest), Fields: restFields(u.Fields), Applied: string(u.Applied)}
	}
	if p := spec.Probe; p != nil {
		out.Probe = &rest.Probe{Request: restRequest(p.RestRequest), RefusedStatuses: numbers(p.RefusedStatuses)}
	}
}

func restRequest(r v1alpha1.RestRequest) rest.Request {
	return rest.Request{
		Method: r.Method, Path: string(r.Path), Query: texts(r.Query), Headers: restHeaders(r.Headers),
		Body: r.Body, SuccessStatuses: numbers(r.SuccessStatuses),
	}
}

func restHeaders(list []v1alpha1.RestHeader) []rest.Header {
	var out []rest.Header
	for _, h := range list {
		out = append(out, rest.Header{Name: string(h.Name), Value: string(h.Value)})
	}
	return out
}

func restFields(list []v1alpha1.RestField) []provider.Field {
	var out []provider.Field
	for _, f := range list {
		out = append(out, provider.Field(f))
	}
	return out
}

func restCodes(words map[string]v1alpha1.RestCode) map[string]provider.Code {
	var out map[string]provider.Code
	for word, code := range words {
		if out == nil {
			out = map[string]provider.Code{}
		}
		out[word] = provider.Code(code)
	}
	return out
}

func texts[T ~string](from map[string]T) map[string]string {
	var out map[string]string
	for key, value := range from {
		if out == nil {
			out = map[string]string{}
		}
		out[key] = string(value)
	}
	return out
}

func numbers(from []int32) []int {
	var out []int
	for _, n := range from {
		out = append(out, int(n))
	}
	return out
}
