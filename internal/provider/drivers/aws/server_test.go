package aws

import (
	"testing"

	"apitoken.dev/operator/internal/provider"
)

func TestServerIsTheSDKsUnlessAnEndpointIsSet(t *testing.T) {
	for want, settings := range map[string]Settings{
		"iam.amazonaws.com:443":               {Region: "eu-central-1"},
		"iam.cn-north-1.amazonaws.com.cn:443": {Region: "cn-north-1"},
		"iam.example.com:7071":                {Region: "r", IAMEndpoint: "http://iam.example.com:7071"},
	} {
		if got := New().Server(t.Context(), provider.Config{Settings: settings}); got.Host != want {
			t.Errorf("%+v: got %s, want %s", settings, got.Host, want)
		}
	}
	explicit := Settings{Region: "eu-central-1", IAMEndpoint: "https://IAM.amazonaws.com/"}
	if got := New().Server(t.Context(), provider.Config{Settings: explicit}); got.Host != "iam.amazonaws.com:443" {
		t.Errorf("%+v: got %s", explicit, got.Host)
	}
}
