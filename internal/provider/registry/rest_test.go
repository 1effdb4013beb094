package registry

import (
	"reflect"
	"testing"

	"apitoken.dev/operator/api/v1alpha1"
)

// TestRestSettingsAreWhole fills every field of a rest block and looks for
// settings that got nothing.
func TestRestSettingsAreWhole(t *testing.T) {
	var spec v1alpha1.RestProvider
	fill(reflect.ValueOf(&spec).Elem())
	for _, path := range empty(reflect.ValueOf(RestSettings(&spec)), "Settings") {
		t.Errorf("%s is not set", path)
	}
	if got := RestSettings(&v1alpha1.RestProvider{}); got.Account != nil || got.Get != nil || got.Update != nil || got.Probe != nil {
		t.Errorf("of nothing: %+v", got)
	}
}

// fill gives every field a value that is not zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(7)
	}
}

// empty returns the paths of all that is zero.
func empty(v reflect.Value, path string) (out []string) {
	if v.IsZero() {
		return []string{path}
	}
	switch v.Kind() {
	case reflect.Pointer:
		return empty(v.Elem(), path)
	case reflect.Struct:
		for i := range v.NumField() {
			out = append(out, empty(v.Field(i), path+"."+v.Type().Field(i).Name)...)
		}
	case reflect.Slice:
		return empty(v.Index(0), path+"[0]")
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			out = append(out, empty(it.Value(), path+"["+it.Key().String()+"]")...)
		}
	}
	return out
}
