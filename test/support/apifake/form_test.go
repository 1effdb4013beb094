package apifake

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestTidyIsAJSONRoundTrip fills every field of every kind, down to the last,
// with what JSON does not keep, and compares with JSON itself.
func TestTidyIsAJSONRoundTrip(t *testing.T) {
	for name, k := range shared().kinds {
		for _, full := range []bool{true, false} {
			obj, back := k.blank(), k.blank()
			fill(reflect.ValueOf(obj).Elem(), full)
			obj.SetManagedFields(nil)
			data, err := json.Marshal(obj)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(data, back); err != nil {
				t.Fatal(err)
			}
			k.tidy(obj)
			if diff := cmp.Diff(back, obj); diff != "" {
				t.Errorf("%s, full %v (-JSON +tidy):\n%s", name, full, diff)
			}
			if !reflect.DeepEqual(back, obj) {
				t.Errorf("%s, full %v: JSON and tidy differ in nil or in a clock reading", name, full)
			}
			checkEquality(t, reflect.ValueOf(obj).Elem())
		}
	}
}

// checkEquality compares a struct with itself, with a copy, and with copies of
// which one field is empty or not.
func checkEquality(t *testing.T, v reflect.Value) {
	t.Helper()
	same := equality(v.Type())
	other := reflect.New(v.Type()).Elem()
	other.Set(v)
	if !same(v, other) {
		t.Errorf("%s: a copy differs", v.Type())
	}
	for i := range v.NumField() {
		other.Set(v)
		other.Field(i).SetZero()
		if same(v, other) != v.Field(i).IsZero() {
			t.Errorf("%s: %s is not compared", v.Type(), v.Type().Field(i).Name)
		}
		if v.Field(i).Kind() == reflect.Struct && v.Field(i).Type() != timeType {
			checkEquality(t, v.Field(i))
		}
		if v.Field(i).Kind() == reflect.Slice && v.Field(i).Len() > 0 && v.Field(i).Index(0).Kind() == reflect.Struct {
			checkEquality(t, v.Field(i).Index(0))
		}
	}
}

// fill sets every field, to values or, if not full, to empty slices, maps and
// zero structs behind pointers.
func fill(v reflect.Value, full bool) {
	switch x := v.Addr().Interface().(type) {
	case *metav1.Time:
		if full {
			x.Time = time.Date(2031, 2, 3, 4, 5, 6, 789, time.FixedZone("west", -3600))
		}
		return
	case *metav1.Duration:
		x.Duration = 90*time.Minute + 5
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && v.Type().Field(i).Name != "ManagedFields" {
				fill(v.Field(i), full)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), full)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 0, 1))
		if full {
			v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
			fill(v.Index(0), full)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		if full {
			value := reflect.New(v.Type().Elem()).Elem()
			fill(value, full)
			v.SetMapIndex(reflect.ValueOf("key").Convert(v.Type().Key()), value)
		}
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(full)
	case reflect.Int64, reflect.Int32:
		v.SetInt(7)
	}
}
