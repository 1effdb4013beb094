package reading

import (
	"errors"
	"net/http"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// An object does not exist only if the error is NotFound for this object.
func TestAbsenceIsNeverAnErrorAndNoErrorIsAbsence(t *testing.T) {
	kind := schema.GroupResource{Group: "apitoken.dev", Resource: "clustertokenproviders"}
	missing := apierrors.NewNotFound(kind, "one")
	unserved := apierrors.NewGenericServerResponse(http.StatusNotFound, "get", kind, "one", "404 page not found", 0, true)
	forbidden := apierrors.NewForbidden(kind, "one", errors.New("no"))
	one := []string{"one"}
	for name, c := range map[string]struct {
		object Of[[]string]
		want   string
		err    error
	}{
		"an object":                      {Object(one, nil), "found", nil},
		"an object that is not there":    {Object(one, missing), "absent", nil},
		"an object of a kind not served": {Object(one, unserved), "unread", unserved},
		"an object that is forbidden":    {Object(one, forbidden), "unread", forbidden},
		"a list":                         {List(one, nil), "found", nil},
		"an empty list":                  {List([]string{}, nil), "absent", nil},
		"a list that is forbidden":       {List([]string{}, forbidden), "unread", forbidden},
		"a list of a kind not served":    {List([]string{}, missing), "unread", missing},
		"a list that broke off":          {List(one, errors.ErrUnsupported), "unread", errors.ErrUnsupported},
		"the zero value":                 {Of[[]string]{}, "unread", errNotRead},
	} {
		var said error
		got := Match(c.object, func(v []string) string {
			if len(v) != 1 {
				t.Errorf("%s: the value is %v", name, v)
			}
			return "found"
		}, func() string { return "absent" }, func(err error) string {
			said = err
			return "unread"
		})
		if got != c.want || !errors.Is(said, c.err) || !errors.Is(c.object.Err(), c.err) {
			t.Errorf("%s: %s, %v; want %s, %v", name, got, said, c.want, c.err)
		}
	}
}

// A value that does not match is absent. A value that could not be read stays unknown.
func TestWhereKeepsUnreadValuesUnknown(t *testing.T) {
	odd := func(n int) bool { return n%2 == 1 }
	for name, c := range map[string]struct {
		of   Of[int]
		want string
	}{
		"it fits":         {Object(1, nil), "found"},
		"it does not fit": {Object(2, nil), "absent"},
		"not there":       {Object(1, apierrors.NewNotFound(schema.GroupResource{}, "one")), "absent"},
		"not read":        {Object(2, errors.ErrUnsupported), "unread"},
	} {
		got := Match(c.of.Where(odd), func(int) string { return "found" }, func() string { return "absent" }, func(error) string { return "unread" })
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
