package memory

import "k8s.io/apimachinery/pkg/types"

// Ends remember which value of the annotation apitoken.dev/end was ignored last, so that
// each is reported once and not at every reconcile.
type Ends struct{ refused *byToken[string] }

func newEnds(m *Memory) *Ends { return &Ends{perToken[string](m)} }

// IsNew records why a value is ignored, and reports whether that differs from the last
// reason. An empty reason clears it.
func (e *Ends) IsNew(token types.NamespacedName, refusal string) (differs bool) {
	e.refused.edit(token, func(last *string) bool {
		differs = refusal != "" && *last != refusal
		*last = refusal
		return refusal != ""
	})
	return differs
}
