package kloudbean

import (
	"strings"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
)

// maxTokenName is the longest name that the form gives a token, in characters.
// KloudBean documents no limit; its examples are as short as production-app.
const maxTokenName = 60

// hashLength is the number of characters of the hash at the end of a token's name.
const hashLength = 6

// leaveEmpty is the value of a field that is not filled in.
const leaveEmpty = "(leave empty)"

// apiAccess is the tab of the panel that keys are managed in.
const apiAccess = "Object Storage Administration > API access"

// Form implements provider.Manual: every credential is manual. The
// labels are those of the panel
// (support.kloudbean.com/docs/s3-object-storage/generating-access-api-keys).
func (*Driver) Form(_ provider.Config, req provider.MintRequest) (provider.Form, bool) {
	scopes, bucket := strings.Join(req.Grant.Scopes, ", "), strings.Join(req.Grant.Buckets, ", ")
	label := permissions[scopes].label
	if label == "" { // Validate refuses it
		label = scopes
	}
	return provider.Form{
		Where: apiAccess + " > Add token, of the bucket " + bucket,
		Fields: []provider.FormField{
			{Label: "Token Name", Value: tokenName(req.Owner)},
			{Label: "Permission", Value: label},
			{Label: "Allowed IP Addresses", Value: addresses(req.Grant.AllowedIPs)},
			{Label: "Disallowed IP Addresses", Value: addresses(req.Grant.DeniedIPs)},
			{Label: "Bucket", Value: bucket},
		},
		Keys:   []string{KeyID, KeySecret},
		Edit:   apiAccess + ", of the bucket " + bucket + ": the three-dotted menu of the token",
		Revoke: apiAccess + ", of the bucket " + bucket + ": delete the token",
	}, true
}

func addresses(list []string) string {
	if len(list) == 0 {
		return leaveEmpty
	}
	return strings.Join(list, ", ")
}

// tokenName is readable, and the same for every token of one ApiToken, because the name of
// a credential is unknown before a user has created the key. The hash at its end
// distinguishes clusters, and ApiTokens whose namespaces and names read the same.
func tokenName(owner provider.Owner) string {
	hash := credname.Owner(owner.Cluster+"/"+owner.Namespace, owner.Token)[:hashLength]
	readable := strings.ReplaceAll(owner.Namespace+"-"+owner.Token, ".", "-")
	readable = strings.TrimRight(readable[:min(len(readable), maxTokenName-hashLength-1)], "-")
	return readable + "-" + hash
}

// KeyID implements provider.Manual: it is the access key id.
func (*Driver) KeyID(secret map[string]provider.Value) string {
	if id := secret[KeyID].Reveal(); wellFormed(id) {
		return id
	}
	return ""
}
