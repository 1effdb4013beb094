package v1alpha1_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/testenv"
)

// apiToken is a valid ApiToken.
func apiToken() *unstructured.Unstructured {
	token := newObject("ApiToken", "training-data", map[string]any{
		"providerRef": map[string]any{"kind": "ClusterTokenProvider", "name": "object-store"},
		"scopes":      []any{"objectstorage:object-read-only"},
		"buckets":     []any{"datasets"},
	})
	token.SetNamespace("default")
	return token
}

var apiTokenCases = map[string]createCase{
	"valid": {},

	"provider of the same namespace": {set: fields{"spec.providerRef": fields{"name": "own-account"}}},
	"provider of no name": {
		set:  fields{"spec.providerRef": fields{"name": ""}},
		want: answer{"spec.providerRef.name", []string{`""`, "for example object-store"}},
	},
	"provider name that cannot exist": {
		set:  fields{"spec.providerRef.name": "Object_Store"},
		want: answer{"spec.providerRef.name", []string{`"Object_Store"`, "lower-case letters", "for example object-store"}},
	},
	"provider of an unknown kind": {
		set:  fields{"spec.providerRef.kind": "Provider"},
		want: answer{"spec.providerRef.kind", []string{`"Provider"`, "TokenProvider", "ClusterTokenProvider"}},
	},
	"no provider": {
		set:  fields{"spec.providerRef": nil},
		want: answer{"spec.providerRef", []string{"Required"}},
	},

	"scopes: absent": {
		set:  fields{"spec.scopes": nil},
		want: answer{"spec.scopes", []string{"at least one scope", "objectstorage:object-read-only", "objectstorage:admin-read-write", "billing:read-only", "grantableScopes"}},
	},
	"scopes: empty": {
		set:  fields{"spec.scopes": []string{}},
		want: answer{"spec.scopes", []string{"at least one scope"}},
	},
	"scopes: every portable one": {set: fields{"spec.scopes": []string{
		"objectstorage:admin-read-write", "objectstorage:admin-read-only", "objectstorage:object-read-write",
		"objectstorage:object-read-only", "objectstorage:object-write-only", "billing:read-only",
	}}},
	"scopes: the provider's own": {set: fields{"spec.scopes": []string{"residential:read", "account:apikeys:read", "a.b_c-1:Z"}}},
	"scopes: one part": {
		set:  fields{"spec.scopes": []string{"objectstorage"}},
		want: answer{"spec.scopes[0]", []string{`"objectstorage" is not a scope`, "two or more parts", "objectstorage:object-read-only"}},
	},
	"scopes: an empty part": {
		set:  fields{"spec.scopes": []string{"billing:read-only", "objectstorage:"}},
		want: answer{"spec.scopes[1]", []string{`"objectstorage:" is not a scope`}},
	},
	"scopes: a pattern": {
		set:  fields{"spec.scopes": []string{"objectstorage:object-*"}},
		want: answer{"spec.scopes[0]", []string{`"objectstorage:object-*" is not a scope`}},
	},
	"scopes: a line break": {
		set:  fields{"spec.scopes": []string{"billing:read-only\n"}},
		want: answer{"spec.scopes[0]", []string{`"billing:read-only\n" is not a scope`}},
	},
	"scopes: none of no characters": {
		set:  fields{"spec.scopes": []string{""}},
		want: answer{"spec.scopes[0]", []string{`"" is not a scope`}},
	},
	"scopes: of 128 characters": {set: fields{"spec.scopes": []string{"own:" + strings.Repeat("x", 124)}}},
	"scopes: of 129 characters": {
		set:  fields{"spec.scopes": []string{"own:" + strings.Repeat("x", 125)}},
		want: answer{"spec.scopes[0]", []string{"128"}},
	},
	"scopes: twice the same": {
		set:  fields{"spec.scopes": []string{"billing:read-only", "billing:read-only"}},
		want: answer{"spec.scopes[1]", []string{`Duplicate value: "billing:read-only"`}},
	},
	"scopes: 32": {set: fields{"spec.scopes": numbered("own:p", 32)}},
	"scopes: 33": {
		set:  fields{"spec.scopes": numbered("own:p", 33)},
		want: answer{"spec.scopes", []string{"33", "32"}},
	},

	"buckets: absent with an object scope": {
		set:  fields{"spec.buckets": nil},
		want: answer{"spec.buckets", []string{"objectstorage:object-read-only needs buckets", "[datasets]", `["*"] for every bucket`}},
	},
	"buckets: empty with an admin scope": {
		set:  fields{"spec.buckets": []string{}, "spec.scopes": []string{"billing:read-only", "objectstorage:admin-read-only"}},
		want: answer{"spec.buckets", []string{"begins with objectstorage: needs buckets"}},
	},
	"buckets: absent without an objectstorage scope":   {set: fields{"spec.buckets": nil, "spec.scopes": []string{"billing:read-only"}}},
	"buckets: declared without an objectstorage scope": {set: fields{"spec.scopes": []string{"billing:read-only"}}},
	"buckets: all": {set: fields{"spec.buckets": []string{"*"}}},
	"buckets: all and others": {
		set:  fields{"spec.buckets": []string{"datasets", "*", "models"}},
		want: answer{"spec.buckets", []string{"'*' already means every bucket", "['*'] alone", "keep the names"}},
	},
	"buckets: any characters that are allowed": {set: fields{"spec.buckets": []string{"A1", "0._-", "my.bucket-1_x"}}},
	"buckets: of one character": {
		set:  fields{"spec.buckets": []string{"a"}},
		want: answer{"spec.buckets[0]", []string{`"a" is not a bucket name`, "2 to 255"}},
	},
	"buckets: of 255 characters": {set: fields{"spec.buckets": []string{strings.Repeat("b", 255)}}},
	"buckets: of 256 characters": {
		set:  fields{"spec.buckets": []string{strings.Repeat("b", 256)}},
		want: answer{"spec.buckets[0]", []string{"255"}},
	},
	"buckets: a pattern": {
		set:  fields{"spec.buckets": []string{"datasets", "ml-*"}},
		want: answer{"spec.buckets[1]", []string{`"ml-*" is not a bucket name`, `"*" alone for every bucket`}},
	},
	"buckets: a URL": {
		set:  fields{"spec.buckets": []string{"s3://datasets"}},
		want: answer{"spec.buckets[0]", []string{`"s3://datasets" is not a bucket name`, "no URL"}},
	},
	"buckets: begins with a dot": {
		set:  fields{"spec.buckets": []string{".datasets"}},
		want: answer{"spec.buckets[0]", []string{`".datasets" is not a bucket name`, "beginning with a letter or digit"}},
	},
	"buckets: none of no characters": {
		set:  fields{"spec.buckets": []string{""}},
		want: answer{"spec.buckets[0]", []string{`"" is not a bucket name`}},
	},
	"buckets: 100": {set: fields{"spec.buckets": numbered("bucket-", 100)}},
	"buckets: 101": {
		set:  fields{"spec.buckets": numbered("bucket-", 101)},
		want: answer{"spec.buckets", []string{"101", "100"}},
	},

	"IPs: addresses and ranges": {set: fields{
		"spec.restrictions.allowedIPs": []string{"203.0.113.7", "203.0.113.0/24", "0.0.0.0/0", "10.0.0.1/32"},
		"spec.restrictions.deniedIPs":  []string{"::", "2001:db8::7", "2001:db8::/32", "2001:0db8:0000:0000:0000:0000:0000:0000/128"},
	}},
	"IPs: a range with host bits": {set: fields{"spec.restrictions.allowedIPs": []string{"10.0.0.1/8"}}},
	"IPs: 100":                    {set: fields{"spec.restrictions.deniedIPs": numbered("10.0.0.", 100)}},
	"IPs: a name": {
		set:  fields{"spec.restrictions.allowedIPs": []string{"203.0.113.7", "office.example.com"}},
		want: answer{"spec.restrictions.allowedIPs[1]", []string{`"office.example.com" is neither an IP address nor a range`, "203.0.113.0/24", "2001:db8::/32"}},
	},
	"IPs: a number too large": {
		set:  fields{"spec.restrictions.deniedIPs": []string{"203.0.113.256"}},
		want: answer{"spec.restrictions.deniedIPs[0]", []string{`"203.0.113.256" is neither`}},
	},
	"IPs: a mask too long": {
		set:  fields{"spec.restrictions.allowedIPs": []string{"203.0.113.0/33"}},
		want: answer{"spec.restrictions.allowedIPs[0]", []string{`"203.0.113.0/33" is neither`}},
	},
	"IPs: a span": {
		set:  fields{"spec.restrictions.allowedIPs": []string{"203.0.113.1-203.0.113.9"}},
		want: answer{"spec.restrictions.allowedIPs[0]", []string{"is neither"}},
	},
	"IPs: none of no characters": {
		set:  fields{"spec.restrictions.allowedIPs": []string{""}},
		want: answer{"spec.restrictions.allowedIPs[0]", []string{`"" is neither`}},
	},
	"subaccounts": {set: fields{"spec.restrictions.subaccounts": []string{"team-7"}}},
	"subaccounts: none of no characters": {
		set:  fields{"spec.restrictions.subaccounts": []string{""}},
		want: answer{"spec.restrictions.subaccounts[0]", []string{"at least 1"}},
	},

	"expiresIn: the shortest":              {set: fields{"spec.expiresIn": "1m"}},
	"expiresIn: the shortest, in seconds":  {set: fields{"spec.expiresIn": "60s"}},
	"expiresIn: as Go prints it":           {set: fields{"spec.expiresIn": "2160h0m0s"}},
	"expiresIn: with a fraction of second": {set: fields{"spec.expiresIn": "1m0.5s"}},
	"expiresIn: several units":             {set: fields{"spec.expiresIn": "1h30m"}},
	"expiresIn: in seconds":                {set: fields{"spec.expiresIn": "7776000s"}},
	"expiresIn: the longest":               {set: fields{"spec.expiresIn": "87600h"}},
	"expiresIn: too short": {
		set:  fields{"spec.expiresIn": "59s"},
		want: answer{"spec.expiresIn", []string{`"59s" is not an allowed duration`, "at least 1m", "for example 2160h (90 days)"}},
	},
	"expiresIn: too long": {
		set:  fields{"spec.expiresIn": "87600h1s"},
		want: answer{"spec.expiresIn", []string{`"87600h1s" is not an allowed duration`, "at most 87600h (10 years)"}},
	},
	"expiresIn: zero":     {set: fields{"spec.expiresIn": "0s"}, want: answer{"spec.expiresIn", []string{`"0s"`}}},
	"expiresIn: negative": {set: fields{"spec.expiresIn": "-5m"}, want: answer{"spec.expiresIn", []string{`"-5m"`}}},
	"expiresIn: empty":    {set: fields{"spec.expiresIn": ""}, want: answer{"spec.expiresIn", []string{`""`}}},
	"expiresIn: in days":  {set: fields{"spec.expiresIn": "90d"}, want: answer{"spec.expiresIn", []string{`"90d"`, "days (d)"}}},
	"expiresIn: no unit":  {set: fields{"spec.expiresIn": "3600"}, want: answer{"spec.expiresIn", []string{`"3600"`}}},
	"expiresIn: a number": {set: fields{"spec.expiresIn": 3600}, want: answer{"spec.expiresIn", []string{"string"}}},
	"expiresIn: a fraction of an hour": {
		set:  fields{"spec.expiresIn": "1.5h"},
		want: answer{"spec.expiresIn", []string{`"1.5h"`, "1h30m", "fractions of hours"}},
	},
	"expiresIn: more than a number holds": {
		set:  fields{"spec.expiresIn": "9999999999999999h"},
		want: answer{"spec.expiresIn", []string{"is not an allowed duration", "at most 87600h"}},
	},
	"expiresAt": {set: fields{"spec.expiresAt": "2035-01-31T00:00:00Z"}},
	"expiresAt: with an offset and a part of a second": {set: fields{"spec.expiresAt": "2035-01-31T23:59:59.123456789-23:59"}},
	"expiresAt: too long": {
		set:  fields{"spec.expiresAt": "2035-01-31T00:00:00." + strings.Repeat("0", 64) + "Z"},
		want: answer{"spec.expiresAt", []string{"64"}},
	},
	"expiresIn and expiresAt": {
		set:  fields{"spec.expiresIn": "2160h", "spec.expiresAt": "2035-01-31T00:00:00Z"},
		want: answer{"spec.expiresAt", []string{"expiresIn (2160h)", "or expiresAt", "not both", "a hard end"}},
	},

	"before: half of expiresIn": {set: fields{"spec.expiresIn": "1h", "spec.rotation.before": "30m"}},
	"before: over half of expiresIn": {
		set:  fields{"spec.expiresIn": "1h", "spec.rotation.before": "30m1s"},
		want: answer{"spec.rotation.before", []string{"30m1s is more than half of expiresIn, 1h", "raise expiresIn"}},
	},
	"before: half of the default": {set: fields{"spec.rotation.before": "1080h"}},
	"before: over half of the default": {
		set:  fields{"spec.rotation.before": "1080h0m1s"},
		want: answer{"spec.rotation.before", []string{"1080h0m1s is more than half of the default lifetime, 2160h", "at most 1080h"}},
	},
	"before: unknown whether over half with expiresAt": {set: fields{"spec.expiresAt": "2035-01-31T00:00:00Z", "spec.rotation.before": "2000h"}},
	"before: the shortest":                             {set: fields{"spec.expiresIn": "1m", "spec.rotation": fields{"before": "1s", "overlap": "1s"}}},
	"before: zero": {
		set:  fields{"spec.rotation.before": "0s"},
		want: answer{"spec.rotation.before", []string{`"0s" is not an allowed duration`, "at least 1s"}},
	},
	"before: negative": {set: fields{"spec.rotation.before": "-1h"}, want: answer{"spec.rotation.before", []string{`"-1h"`}}},
	"before: malformed with a valid expiresIn": {
		set:  fields{"spec.expiresIn": "2160h", "spec.rotation": fields{"before": "30d", "overlap": "1h"}},
		want: answer{"spec.rotation.before", []string{`"30d"`}},
	},
	"before: valid with a malformed expiresIn": {
		set:  fields{"spec.expiresIn": "90d", "spec.rotation": fields{"before": "720h", "overlap": "1h"}},
		want: answer{"spec.expiresIn", []string{`"90d"`}},
	},

	"overlap: before": {set: fields{"spec.rotation": fields{"before": "1h", "overlap": "60m"}}},
	"overlap: over before": {
		set:  fields{"spec.rotation": fields{"before": "1h", "overlap": "61m"}},
		want: answer{"spec.rotation.overlap", []string{"61m is longer than before, 1h", "at most 1h", "raise before"}},
	},
	"overlap: over before with expiresAt": {
		set:  fields{"spec.expiresAt": "2035-01-31T00:00:00Z", "spec.rotation": fields{"before": "1h", "overlap": "61m"}},
		want: answer{"spec.rotation.overlap", []string{"61m is longer than before, 1h"}},
	},
	"overlap: a third of expiresIn": {set: fields{"spec.expiresIn": "90m", "spec.rotation.overlap": "30m"}},
	"overlap: over a third of expiresIn": {
		set:  fields{"spec.expiresIn": "90m", "spec.rotation.overlap": "31m"},
		want: answer{"spec.rotation.overlap", []string{"31m is longer", "a third of expiresIn, 90m", "set rotation.before"}},
	},
	"overlap: a third of the default": {set: fields{"spec.rotation.overlap": "720h"}},
	"overlap: over a third of the default": {
		set:  fields{"spec.rotation.overlap": "720h1s"},
		want: answer{"spec.rotation.overlap", []string{"720h1s is longer", "default lifetime, 2160h", "at most 720h"}},
	},
	"overlap: over a third, but not over before": {set: fields{"spec.rotation": fields{"before": "1000h", "overlap": "1000h"}}},
	"overlap: zero":     {set: fields{"spec.rotation.overlap": "0s"}, want: answer{"spec.rotation.overlap", []string{`"0s"`, "at least 1s"}}},
	"overlap: negative": {set: fields{"spec.rotation.overlap": "-1h"}, want: answer{"spec.rotation.overlap", []string{`"-1h"`}}},
	"overlap: malformed with a valid before": {
		set:  fields{"spec.rotation": fields{"before": "720h", "overlap": "1 hour"}},
		want: answer{"spec.rotation.overlap", []string{`"1 hour"`}},
	},
	"generation": {set: fields{"spec.rotation.generation": 7}},
	"generation: negative": {
		set:  fields{"spec.rotation.generation": -1},
		want: answer{"spec.rotation.generation", []string{"-1", "greater than or equal to 0"}},
	},
	"strategy: unknown": {
		set:  fields{"spec.rotation.strategy": "Never"},
		want: answer{"spec.rotation.strategy", []string{`"Never"`, "MakeBeforeBreak"}},
	},

	"secret name":                    {set: fields{"spec.secret.name": "training-data.s3"}},
	"secret name: empty means none":  {set: fields{"spec.secret.name": ""}},
	"secret name: of 253 characters": {set: fields{"spec.secret.name": strings.Repeat("s", 253)}},
	"secret name: upper case": {
		set:  fields{"spec.secret.name": "TrainingData"},
		want: answer{"spec.secret.name", []string{`"TrainingData" cannot be the name of a Secret`, "lower-case", "training-data-s3"}},
	},
	"secret name: begins with a dash": {
		set:  fields{"spec.secret.name": "-s3"},
		want: answer{"spec.secret.name", []string{`"-s3" cannot be the name`}},
	},
	"secret name: a path": {
		set:  fields{"spec.secret.name": "other/secret"},
		want: answer{"spec.secret.name", []string{`"other/secret" cannot be the name`}},
	},
	"secret labels and annotations": {set: fields{
		"spec.secret.labels":      fields{"app.kubernetes.io/part-of": "training", "empty": "", "apitoken.devs/x": strings.Repeat("v", 63)},
		"spec.secret.annotations": fields{"reloader.stakater.com/match": "true", "note": "any text, however long: " + strings.Repeat("n", 200)},
	}},
	"secret labels: reserved": {
		set:  fields{"spec.secret.labels": fields{"apitoken.dev/managed": "no", "team": "ml"}},
		want: answer{"spec.secret.labels", []string{"begin with apitoken.dev/", "remove or rename"}},
	},
	"secret annotations: reserved": {
		set:  fields{"spec.secret.annotations": fields{"apitoken.dev/credential": "x"}},
		want: answer{"spec.secret.annotations", []string{"begin with apitoken.dev/", "remove or rename"}},
	},
	"secret labels: a value too long": {
		set:  fields{"spec.secret.labels": fields{"team": strings.Repeat("v", 64)}},
		want: answer{"spec.secret.labels", []string{"at most 63", "annotation"}},
	},
	"secret labels: not a label value": {
		set:  fields{"spec.secret.labels": fields{"team": "machine learning"}},
		want: answer{"spec.secret.labels", []string{"label value", "letters, digits"}},
	},
	"secret labels: not a label key": {
		set:  fields{"spec.secret.labels": fields{"the team": "ml"}},
		want: answer{"spec.secret.labels", []string{"a key must be a name", "example.com/team"}},
	},

	"deletionPolicy: Retain": {set: fields{"spec.deletionPolicy": "Retain"}},
	"deletionPolicy: unknown": {
		set:  fields{"spec.deletionPolicy": "Keep"},
		want: answer{"spec.deletionPolicy", []string{`"Keep"`, "Revoke", "Retain"}},
	},
	"description: 256 characters": {set: fields{"spec.description": strings.Repeat("d", 256)}},
	"description: 257 characters": {
		set:  fields{"spec.description": strings.Repeat("d", 257)},
		want: answer{"spec.description", []string{"256"}},
	},
}

// issued is the status of an ApiToken that holds a credential.
var issued = fields{"status.credentials": []any{
	fields{"name": "at1-c0ffee-1", "state": "Active", "account": "111111111111", "id": "AKIA1"},
}}

func ledger(entry fields) fields { return fields{"status.credentials": []any{entry}} }

var apiTokenChanges = map[string]changeCase{
	"provider: before anything is issued": {set: fields{"spec.providerRef.name": "other"}},
	"provider: once issued": {
		status: issued, set: fields{"spec.providerRef.name": "other"},
		want: answer{"spec.providerRef", []string{"from ClusterTokenProvider object-store to ClusterTokenProvider other", "create another ApiToken", "delete this one"}},
	},
	"provider: kind, once reserved": {
		status: ledger(fields{"name": "at1-c0ffee-1", "state": "Minting"}),
		set:    fields{"spec.providerRef.kind": "TokenProvider"},
		want:   answer{"spec.providerRef", []string{"to TokenProvider object-store"}},
	},
	"secret name: before anything is issued": {set: fields{"spec.secret.name": "other"}},
	"secret name: once issued": {
		status: issued, set: fields{"spec.secret.name": "other"},
		want: answer{"spec.secret.name", []string{"from training-data to other", "publishes to other", "delete this one"}},
	},
	"secret name: removed, once issued": {
		from: fields{"spec.secret.name": "s3"}, status: issued, set: fields{"spec.secret": nil},
		want: answer{"spec.secret.name", []string{"from s3 to training-data"}},
	},
	"secret name: the default, written out, once issued": {status: issued, set: fields{"spec.secret.name": "training-data"}},
	"secret name: the default, left out, once issued":    {from: fields{"spec.secret.name": "training-data"}, status: issued, set: fields{"spec.secret": nil}},
	"all the rest, once issued": {status: issued, set: fields{
		"spec.scopes": []string{"billing:read-only"}, "spec.buckets": nil, "spec.expiresIn": "1h", "spec.rotation.generation": 1,
		"spec.secret.labels": fields{"team": "ml"}, "spec.suspend": true, "spec.deletionPolicy": "Retain",
		"metadata.finalizers": []string{"apitoken.dev/revoke"},
	}},

	"ledger: a state of a newer version is kept": {status: issued, setStatus: ledger(fields{"name": "at1-c0ffee-1", "state": "Frozen", "account": "111111111111", "id": "AKIA1"})},
	"ledger: an entry goes":                      {status: issued, setStatus: fields{"status.credentials": []any{}}},
	"ledger: an entry comes": {status: issued, setStatus: fields{"status.credentials": []any{
		fields{"name": "at1-c0ffee-2", "state": "Minting", "account": "222222222222"},
		fields{"name": "at1-c0ffee-1", "state": "Active", "account": "111111111111", "id": "AKIA1"},
	}}},
	"ledger: an id becomes known": {
		status:    ledger(fields{"name": "at1-c0ffee-1", "state": "Minting", "account": "111111111111"}),
		setStatus: ledger(fields{"name": "at1-c0ffee-1", "state": "Active", "account": "111111111111", "id": "AKIA1"}),
	},
	"ledger: another account": {
		status: issued, setStatus: ledger(fields{"name": "at1-c0ffee-1", "state": "Active", "account": "222222222222", "id": "AKIA1"}),
		want: answer{"status.credentials[0].account", []string{"cannot change from 111111111111", "identifies the credential"}},
	},
	"ledger: the id is lost": {
		status: issued, setStatus: ledger(fields{"name": "at1-c0ffee-1", "state": "Active", "account": "111111111111"}),
		want: answer{"status.credentials[0].id", []string{"cannot change from AKIA1", "identifies the credential"}},
	},
}

// readableTimes are values of spec.expiresAt that are accepted.
var readableTimes = []string{
	"2000-01-01T00:00:00Z", "2035-01-31T00:00:00Z", "2035-04-30T23:59:59.9Z", "2035-12-31T23:59:59+23:59", "2035-02-28T00:00:00-00:00",
	"2036-02-29T00:00:00Z", "2400-02-29T00:00:00+01:00", "9998-12-31T23:59:59-23:59", "9998-12-31T23:59:59Z", "9998-12-31T23:59:59.999999999Z",
}

// unreadableTimes are values of spec.expiresAt that are refused. Most of them are a time
// to the format date-time of a schema, and no time to Go.
var unreadableTimes = []string{
	"", "tomorrow", "2035-01-31", "2035-01-31T00:00:00", "2027-01-31T00:00:00z", "2027-01-31t00:00:00Z", "2027-01-31T00:00:00x5Z", "2027-01-31T00:00:00Ztrash",
	"2027-01-31T00:00:00Z\n", " 2027-01-31T00:00:00Z", "2027-01-31 00:00:00Z", "2027-01-31T00:00:00+99:99", "2027-01-31T00:00:00+25:00",
	"2027-01-31T00:00:00+24:00", "2027-01-31T00:00:00+01:60", "2027-01-31T00:00:00+0100", "2027-01-31T24:00:00Z", "2027-01-31T00:60:00Z", "2027-01-31T00:00:60Z",
	"2027-01-31T0:00:00Z", "2027-01-31T00:00:00,5Z", "2027-01-31T00:00:00.Z", "2027-01-31T00:00:00.1234567890Z", "2027-02-29T00:00:00Z", "2100-02-29T00:00:00Z",
	"2036-02-30T00:00:00Z", "2027-04-31T00:00:00Z", "2027-13-01T00:00:00Z", "2027-00-01T00:00:00Z", "2027-01-00T00:00:00Z", "9999-12-31T23:59:59-01:00",
	"9999-12-31T23:59:59Z", "9999-01-01T00:00:00Z",
	"9999-06-01T00:00:00+01:00", "1999-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "-2027-01-31T00:00:00Z", "\u0662027-01-31T00:00:00Z",
}

// testTimes: accepted times can be parsed, and the message about a rejected time has the value,
// the allowed format and an example.
func testTimes(t *testing.T, c client.Client) {
	for _, text := range readableTimes {
		t.Run(text, func(t *testing.T) {
			token := apiToken()
			apply(t, token, fields{"spec.expiresAt": text})
			check(t, c.Create(t.Context(), token, client.DryRunAll), answer{})
			if at, err := v1alpha1.Timestamp(text).Time(); err != nil || at.Nanosecond() != 0 {
				t.Errorf("it is read as %s, %v", at, err)
			}
		})
	}
	for _, text := range unreadableTimes {
		t.Run("not "+text, func(t *testing.T) {
			token := apiToken()
			apply(t, token, fields{"spec.expiresAt": text})
			check(t, c.Create(t.Context(), token, client.DryRunAll),
				answer{"spec.expiresAt", []string{strconv.Quote(text), "RFC 3339", "upper-case T and Z", "for example 2030-01-31T00:00:00Z"}})
		})
	}
}

// testTyped: requests of a typed Go client are accepted, and common mistakes in them get a full
// sentence as well.
func testTyped(t *testing.T, env *testenv.Env) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := env.Client(scheme)
	tests := map[string]struct {
		edit func(*v1alpha1.ApiToken)
		want answer
	}{
		"the least": {edit: func(*v1alpha1.ApiToken) {}},
		"durations as Go prints them": {edit: func(token *v1alpha1.ApiToken) {
			token.Spec.ExpiresIn = &metav1.Duration{Duration: 90*time.Minute + 1500*time.Millisecond}
			token.Spec.Rotation.Before = &metav1.Duration{Duration: 10 * time.Minute}
			token.Spec.Rotation.Overlap = &metav1.Duration{Duration: 1001 * time.Millisecond}
		}},
		"no scopes": {
			edit: func(token *v1alpha1.ApiToken) { token.Spec.Scopes = nil },
			want: answer{"spec.scopes", []string{"at least one scope"}},
		},
		"a duration under a second": {
			edit: func(token *v1alpha1.ApiToken) {
				token.Spec.Rotation.Overlap = &metav1.Duration{Duration: 500 * time.Millisecond}
			},
			want: answer{"spec.rotation.overlap", []string{`"500ms"`, "at least 1s"}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			token := &v1alpha1.ApiToken{
				ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "typed"},
				Spec: v1alpha1.ApiTokenSpec{
					ProviderRef: v1alpha1.ProviderReference{Name: "own-account"},
					Scopes:      []v1alpha1.Scope{"objectstorage:object-read-only"},
					Buckets:     []v1alpha1.Bucket{"datasets"},
				},
			}
			tc.edit(token)
			check(t, c.Create(t.Context(), token, client.DryRunAll), tc.want)
		})
	}
}

// numbered returns n different strings that begin with the prefix.
func numbered(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint(prefix, i)
	}
	return out
}
