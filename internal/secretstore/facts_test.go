package secretstore

import (
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
)

// TestUnusableTimesOfASecretAreIgnored: a time that a status cannot hold is not read from a
// Secret.
func TestUnusableTimesOfASecretAreIgnored(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2030-01-31T00:00:00Z": time.Date(2030, time.January, 31, 0, 0, 0, 0, time.UTC),
		"0000-01-01T00:00:00Z": {}, "0001-06-01T00:00:00Z": {}, "9999-12-31T23:59:59-01:00": {}, "tomorrow": {}, "": {},
	} {
		if got := facts(map[string]string{v1alpha1.AnnotationExpiresAt: text}).ExpiresAt; !got.Equal(want) {
			t.Errorf("%q is read as %s", text, got)
		}
	}
}
