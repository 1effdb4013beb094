package explore

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// chooser decides at every choice point which of n options is taken. Option 0
// is the ordinary course of things; any other is a deviation.
type chooser interface {
	pick(n int) int
}

// deviation takes an option other than 0 at one choice point.
type deviation struct{ at, option int }

// schedule takes the ordinary course but for its deviations, and notes how many
// options each choice point had.
type schedule struct {
	deviations []deviation
	options    []int
}

func (s *schedule) pick(n int) int {
	at := len(s.options)
	s.options = append(s.options, n)
	for _, d := range s.deviations {
		if d.at == at && d.option < n {
			return d.option
		}
	}
	return 0
}

func (s *schedule) String() string {
	var parts []string
	for _, d := range s.deviations {
		parts = append(parts, fmt.Sprintf("%d:%d", d.at, d.option))
	}
	return "schedule " + strings.Join(parts, " ")
}

// children are the schedules with one more deviation, after the last one.
func (s *schedule) children() []*schedule {
	from := 0
	if n := len(s.deviations); n > 0 {
		from = s.deviations[n-1].at + 1
	}
	var out []*schedule
	for at := from; at < len(s.options); at++ {
		for option := 1; option < s.options[at]; option++ {
			d := append(append([]deviation(nil), s.deviations...), deviation{at: at, option: option})
			out = append(out, &schedule{deviations: d})
		}
	}
	return out
}

// dice deviates at random, a few times at most.
type dice struct {
	seed  uint64
	rng   *rand.Rand
	left  int
	every int
}

func newDice(seed uint64) *dice {
	rng := rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15))
	return &dice{seed: seed, rng: rng, left: 1 + rng.IntN(6), every: 4 + rng.IntN(28)}
}

func (d *dice) pick(n int) int {
	if n < 2 || d.left == 0 || d.rng.IntN(d.every) != 0 {
		return 0
	}
	d.left--
	return 1 + d.rng.IntN(n-1)
}

func (d *dice) String() string { return fmt.Sprintf("seed %d", d.seed) }
