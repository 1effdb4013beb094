package kloudbeansim_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/simulate/kloudbeansim"
)

func TestReadFormUsesTheLabels(t *testing.T) {
	got, err := kloudbeansim.ReadForm([]provider.FormField{
		{Label: "Token Name", Value: "production-app"}, {Label: "Permission", Value: "Read only"},
		{Label: "Allowed IP Addresses", Value: "203.0.113.7, 198.51.100.0/24"}, {Label: "Disallowed IP Addresses", Value: "(leave empty)"},
		{Label: "Bucket", Value: "datasets"},
	})
	want := kloudbeansim.Form{
		TokenName: "production-app", Permission: kloudbeansim.ReadOnly,
		AllowedIPs: []string{"203.0.113.7", "198.51.100.0/24"}, Bucket: "datasets",
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := kloudbeansim.ReadForm([]provider.FormField{{Label: "Expires", Value: "tomorrow"}}); err == nil {
		t.Error("a field that the panel does not have was filled in")
	}
}

func TestPanelRejectsInvalidForms(t *testing.T) {
	good := kloudbeansim.Form{TokenName: "test", Permission: kloudbeansim.ReadOnly, Bucket: bucket}
	for name, change := range map[string]func(*kloudbeansim.Form){
		"no name":               func(f *kloudbeansim.Form) { f.TokenName = "" },
		"no such permission":    func(f *kloudbeansim.Form) { f.Permission = "Admin" },
		"no such bucket":        func(f *kloudbeansim.Form) { f.Bucket = "missing" },
		"no allowed address":    func(f *kloudbeansim.Form) { f.AllowedIPs = []string{"home"} },
		"no disallowed address": func(f *kloudbeansim.Form) { f.DisallowedIPs = []string{"10.0.0.0/33"} },
	} {
		form, s := good, newSimulator()
		change(&form)
		if _, err := s.AddToken(t.Context(), form); err == nil || len(s.Tokens()) != 0 {
			t.Errorf("%s: got %v and %d tokens, want a refusal", name, err, len(s.Tokens()))
		}
	}
}

func TestPanelEditsNameAndAddressesOnly(t *testing.T) {
	s := newSimulator()
	made, err := s.AddToken(t.Context(), kloudbeansim.Form{TokenName: "one", Permission: kloudbeansim.ReadOnly, Bucket: bucket})
	if err != nil {
		t.Fatal(err)
	}
	id := made.AccessKeyID
	edit := kloudbeansim.Form{TokenName: "two", Permission: kloudbeansim.ReadWrite, Bucket: "other", AllowedIPs: []string{"203.0.113.7"}}
	if err := s.Edit(id, edit); err != nil {
		t.Fatal(err)
	}
	want := []kloudbeansim.Token{{AccessKeyID: id, Form: kloudbeansim.Form{
		TokenName: "two", Permission: kloudbeansim.ReadOnly, Bucket: bucket, AllowedIPs: []string{"203.0.113.7"},
	}}}
	if diff := cmp.Diff(want, s.Tokens()); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
	again, err := s.Copy(id)
	if err != nil || again.AccessKeyID != id || !again.SecretAccessKey.Equal(made.SecretAccessKey) {
		t.Errorf("Copy shows something else, %v", err)
	}
	if !s.Accepts(id, made.SecretAccessKey.Reveal()) || s.Accepts(id, "another") {
		t.Error("Accepts does not tell secrets apart")
	}
	if err := s.Delete(t.Context(), id); err != nil || len(s.Tokens()) != 0 || s.Accepts(id, made.SecretAccessKey.Reveal()) {
		t.Errorf("Delete: %v, %d tokens are left", err, len(s.Tokens()))
	}
	_, copyErr := s.Copy(id)
	for _, err := range []error{s.Edit(id, edit), s.Delete(t.Context(), id), copyErr} {
		if err == nil {
			t.Error("the panel knows a token that was deleted")
		}
	}
}

// keys is a server behind the panel.
type keys struct {
	live map[string]kloudbeansim.Key
	err  error
}

func (k *keys) Create(_ context.Context, key kloudbeansim.Key) error {
	if k.err == nil {
		k.live[key.AccessKeyID] = key
	}
	return k.err
}

func (k *keys) Delete(_ context.Context, id string) error {
	if k.err == nil {
		delete(k.live, id)
	}
	return k.err
}

func TestServerBehindReceivesEveryKey(t *testing.T) {
	s, behind := newSimulator(), &keys{live: map[string]kloudbeansim.Key{}}
	s.Keys = behind
	form := kloudbeansim.Form{TokenName: "test", Permission: kloudbeansim.WriteOnly, Bucket: bucket}
	made, err := s.AddToken(t.Context(), form)
	if err != nil {
		t.Fatal(err)
	}
	told := behind.live[made.AccessKeyID]
	if diff := cmp.Diff(form, told.Form); diff != "" || !told.Secret.Equal(made.SecretAccessKey) {
		t.Errorf("the server got another key (-want +got):\n%s", diff)
	}
	behind.err = errors.New("down")
	if _, err := s.AddToken(t.Context(), form); err == nil || len(s.Tokens()) != 1 {
		t.Errorf("a token that the server did not take: %v, %d tokens", err, len(s.Tokens()))
	}
	if err := s.Delete(t.Context(), made.AccessKeyID); err == nil || len(s.Tokens()) != 1 {
		t.Errorf("a token that the server kept: %v, %d tokens", err, len(s.Tokens()))
	}
	behind.err = nil
	if err := s.Delete(t.Context(), made.AccessKeyID); err != nil || len(behind.live) != 0 {
		t.Errorf("Delete: %v, the server has %d keys", err, len(behind.live))
	}
}
