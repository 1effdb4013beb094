package provider

import "testing"

// TestReadingIsNotWiderThanReadingAndWriting: a credential that was narrowed is not wider.
func TestReadingIsNotWiderThanReadingAndWriting(t *testing.T) {
	reads, writes := Grant{Scopes: []string{"objectstorage:object-read-only"}}, Grant{Scopes: []string{"objectstorage:object-read-write"}}
	if Wider(writes, reads) {
		t.Error("reading is wider than reading and writing")
	}
	if !Wider(reads, writes) {
		t.Error("reading and writing is not wider than reading")
	}
}
