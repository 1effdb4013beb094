package memory

import "k8s.io/apimachinery/pkg/types"

// Handovers remember submitted credentials that cannot be used, by the version of their
// Secret.
type Handovers struct{ refused *byToken[refusal] }

type refusal struct{ version, message string }

func newHandovers(m *Memory) *Handovers { return &Handovers{perToken[refusal](m)} }

// Refuse records why the submitted credential in this version cannot be used.
func (h *Handovers) Refuse(token types.NamespacedName, version, message string) {
	h.refused.put(token, refusal{version, message})
}

// Refusal returns why the submitted credential in this version cannot be used; empty if
// that is not known.
func (h *Handovers) Refusal(token types.NamespacedName, version string) string {
	if why, known := h.refused.get(token); known && why.version == version {
		return why.message
	}
	return ""
}
