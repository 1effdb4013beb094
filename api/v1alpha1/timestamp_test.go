package v1alpha1_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
)

// TestTimestampReadsWhatTheAPIServerStored reads what the API server may have stored before it checked times.
func TestTimestampReadsWhatTheAPIServerStored(t *testing.T) {
	east := time.FixedZone("", 2*60*60)
	cases := map[string]struct {
		text string
		want time.Time // zero: it cannot be read
	}{
		"UTC":                          {"2027-01-31T12:00:00Z", time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)},
		"another time zone":            {"2027-01-31T12:00:00+02:00", time.Date(2027, 1, 31, 12, 0, 0, 0, east)},
		"a part of a second":           {"2027-01-31T12:00:42.999Z", time.Date(2027, 1, 31, 12, 0, 42, 0, time.UTC)},
		"a lower-case z":               {"2027-01-31T12:00:00z", time.Time{}},
		"text after it":                {"2027-01-31T12:00:00Ztrash", time.Time{}},
		"an offset beyond a day":       {"2027-01-31T12:00:00+25:00", time.Time{}},
		"a year that JSON cannot hold": {"9999-12-31T23:59:59-01:00", time.Time{}},
		"a year before the first":      {"0001-01-01T00:00:00+01:00", time.Time{}},
		"the zero time":                {"0001-01-01T00:00:00Z", time.Time{}},
		"nothing":                      {"", time.Time{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			text := v1alpha1.Timestamp(tc.text)
			spec := v1alpha1.ApiTokenSpec{ExpiresAt: &text}
			got, err := spec.HardEnd()
			if !got.Equal(tc.want) || got.Location() != time.UTC {
				t.Errorf("read as %s, want %s", got, tc.want)
			}
			if unreadable := tc.want.IsZero(); unreadable != (err != nil) {
				t.Fatalf("error %v", err)
			} else if unreadable && (!strings.Contains(err.Error(), "spec.expiresAt") || !strings.Contains(err.Error(), "2030-01-31T00:00:00Z")) {
				t.Errorf("the error names neither field nor example: %v", err)
			}
			content, err := json.Marshal(spec)
			if err != nil || !strings.Contains(string(content), `"expiresAt":"`+tc.text+`"`) {
				t.Errorf("it is written back as %s, %v", content, err)
			}
		})
	}
	if end, err := (&v1alpha1.ApiTokenSpec{}).HardEnd(); err != nil || !end.IsZero() {
		t.Errorf("no end is read as %s, %v", end, err)
	}
	long := v1alpha1.Timestamp(strings.Repeat("\x1b", 100000))
	if _, err := long.Time(); err == nil || len(err.Error()) > 1000 || strings.Contains(err.Error(), "\x1b") {
		t.Error("the error repeats a text as long as an object, or a control character")
	}
}
