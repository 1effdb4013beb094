package plan

// Assess returns the need and the first obstacle that are found in an Observation, and the
// reason of that obstacle; empty: none.
func Assess(o Observation) (need, obstacle, reason string) {
	s := assess(&o)
	if s.need != nil {
		need = s.need.name
	}
	if d, blocked := s.obstacle(); blocked {
		obstacle, reason = s.findings[0].name, d.Reason
	}
	return need, obstacle, reason
}
