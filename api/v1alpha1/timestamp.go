package v1alpha1

import (
	"fmt"
	"time"
)

// Timestamp is a point in time in a spec: RFC 3339 text, such as 2030-01-31T00:00:00Z.
//
// It keeps the text as it was written. So an object decodes with any text that the API
// server stored before it checked the text, and is written back unchanged: one object
// with an unreadable time does not end the list of all others. Read it with Time, which
// reports an unreadable text. Times count in whole seconds.
//
// The rule accepts the strict form of RFC 3339 (section 5.6) in the years 2000 to 9998:
// an offset could leave the year 9999, and a status holds no time of its last day.
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:XValidation:rule=`self.matches('^[2-9][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$') && !self.startsWith('9999') || self.matches('^([2-9][0-9](0[48]|[2468][048]|[13579][26])|(2[048]|3[26]|4[048]|5[26]|6[048]|7[26]|8[048]|9[26])00)-02-29T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$')`,messageExpression=`strings.quote(self) + ' is not an allowed time: write RFC 3339 with upper-case T and Z, or an offset from -23:59 to +23:59, in the years 2000 to 9998, for example 2030-01-31T00:00:00Z or 2030-01-31T02:00:00+02:00'`
type Timestamp string

// NewTimestamp writes a time down, in whole seconds and in UTC.
func NewTimestamp(t time.Time) *Timestamp {
	text := Timestamp(t.UTC().Format(time.RFC3339))
	return &text
}

// Time reads the time, in UTC and cut down to whole seconds. It is never the zero time.
// It returns an error that names the text and an example if the text is not RFC 3339,
// or lies outside the years 2 to 9999 in UTC: JSON cannot hold a later year, and the
// zero time lies in year 1.
func (t Timestamp) Time() (time.Time, error) {
	at, err := time.Parse(time.RFC3339, string(t))
	at = at.UTC().Truncate(time.Second)
	if err != nil || at.Year() < 2 || at.Year() > 9999 {
		return time.Time{}, fmt.Errorf("%q is not a time: write RFC 3339, for example 2030-01-31T00:00:00Z", t.short())
	}
	return at, nil
}

// shownLength is how many bytes of an unreadable text a message repeats. A stored text
// can be longer than any condition.
const shownLength = 64

func (t Timestamp) short() string {
	if len(t) <= shownLength {
		return string(t)
	}
	return string(t[:shownLength]) + "..."
}

// HardEnd returns spec.expiresAt, and the zero time if it is absent. It is the only
// place that reads the field as a time. It returns an error that names the field and
// its value if the text cannot be read: then nothing may be issued, because the end of
// access is unknown, and what is live keeps the expiry that it has.
func (s *ApiTokenSpec) HardEnd() (time.Time, error) {
	if s.ExpiresAt == nil {
		return time.Time{}, nil
	}
	end, err := s.ExpiresAt.Time()
	if err != nil {
		return time.Time{}, fmt.Errorf("spec.expiresAt: %w", err)
	}
	return end, nil
}
