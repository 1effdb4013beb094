package apifake

import (
	"fmt"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// equal compares two addressable values of one type.
type equal func(a, b reflect.Value) bool

// equality returns a function that compares two values of an API type. The result is that
// of reflect.DeepEqual, but it is several times faster, because it inspects the type once.
func equality(t reflect.Type) equal {
	if t == timeType {
		return equalTimes
	}
	switch t.Kind() {
	case reflect.String:
		return func(a, b reflect.Value) bool { return a.String() == b.String() }
	case reflect.Bool:
		return func(a, b reflect.Value) bool { return a.Bool() == b.Bool() }
	case reflect.Int32, reflect.Int64:
		return func(a, b reflect.Value) bool { return a.Int() == b.Int() }
	case reflect.Uint8:
		return func(a, b reflect.Value) bool { return a.Uint() == b.Uint() }
	case reflect.Struct:
		return equalFields(t)
	case reflect.Pointer:
		return equalPointers(equality(t.Elem()))
	case reflect.Slice:
		return equalSlices(equality(t.Elem()))
	case reflect.Map:
		return equalMaps
	}
	panic(fmt.Sprintf("apifake: teach equality to compare values of type %s", t))
}

func equalTimes(a, b reflect.Value) bool {
	return *a.Addr().Interface().(*metav1.Time) == *b.Addr().Interface().(*metav1.Time)
}

func equalMaps(a, b reflect.Value) bool {
	if a.Len() == 0 && b.Len() == 0 {
		return a.IsNil() == b.IsNil()
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func equalFields(t reflect.Type) equal {
	fields := make([]equal, t.NumField())
	for i := range fields {
		fields[i] = equality(t.Field(i).Type)
	}
	return func(a, b reflect.Value) bool {
		for i, same := range fields {
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	}
}

func equalPointers(elem equal) equal {
	return func(a, b reflect.Value) bool {
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return a.Pointer() == b.Pointer() || elem(a.Elem(), b.Elem())
	}
}

func equalSlices(elem equal) equal {
	return func(a, b reflect.Value) bool {
		if a.Len() != b.Len() || a.IsNil() != b.IsNil() {
			return false
		}
		if a.Pointer() == b.Pointer() {
			return true
		}
		for i := range a.Len() {
			if !elem(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	}
}
