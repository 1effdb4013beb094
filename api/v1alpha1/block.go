package v1alpha1

import (
	"reflect"
	"strings"
)

// Blocks returns the names of all driver blocks, in the order of their fields.
func Blocks() []string {
	var out []string
	for _, b := range blocks() {
		out = append(out, b.name)
	}
	return out
}

// Block returns the driver block that is set: its name, such as aws, and a copy of its
// settings, such as an AWSProvider. ok is false when no block is set.
func (s *ProviderSpec) Block() (name string, settings any, ok bool) {
	spec := reflect.ValueOf(s).Elem()
	for _, b := range blocks() {
		if block := spec.Field(b.field); !block.IsNil() {
			return b.name, block.Elem().Interface(), true
		}
	}
	return "", nil, false
}

// CABundle returns the PEM text of the private CAs that the servers of this provider
// can have, and the path of its field. Both are empty when no driver block is set.
func (s *ProviderSpec) CABundle() (field, bundle string) {
	name, settings, ok := s.Block()
	if !ok {
		return "", ""
	}
	if text := reflect.ValueOf(settings).FieldByName("CABundle"); text.IsValid() {
		bundle = text.String()
	}
	return "spec." + name + ".caBundle", bundle
}

// block is one driver block: a field of ProviderSpec that is a pointer.
type block struct {
	field int
	name  string
}

func blocks() []block {
	var out []block
	spec := reflect.TypeFor[ProviderSpec]()
	for i := range spec.NumField() {
		if f := spec.Field(i); f.Type.Kind() == reflect.Pointer {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			out = append(out, block{field: i, name: name})
		}
	}
	return out
}
