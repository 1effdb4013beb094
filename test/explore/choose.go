package explore

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// chooser selects one of the options at every choice point; at is the name of the point.
// The first option is the ordinary course, any other is a deviation.
type chooser interface {
	pick(at string, options []string) int
}

// deviation selects an option other than 0 at one choice point.
type deviation struct{ at, option int }

// schedule follows the ordinary course except for its deviations, and records how many
// options each choice point had.
type schedule struct {
	deviations []deviation
	// only, if set, lists the deviations that children may use.
	only    []string
	options [][]int
}

func (s *schedule) pick(_ string, options []string) int {
	at := len(s.options)
	var open []int
	for i := 1; i < len(options); i++ {
		if s.only == nil || slices.Contains(s.only, options[i]) {
			open = append(open, i)
		}
	}
	s.options = append(s.options, open)
	for _, d := range s.deviations {
		if d.at == at && d.option < len(options) {
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

// children returns the schedules with one more deviation, after the last one.
func (s *schedule) children() []*schedule {
	from := 0
	if n := len(s.deviations); n > 0 {
		from = s.deviations[n-1].at + 1
	}
	var out []*schedule
	for at := from; at < len(s.options); at++ {
		for _, option := range s.options[at] {
			d := append(slices.Clone(s.deviations), deviation{at: at, option: option})
			out = append(out, &schedule{deviations: d, only: s.only})
		}
	}
	return out
}

// dice deviates at random, at most a few times.
type dice struct {
	seed  uint64
	rng   *rand.Rand
	left  int
	every int
}

func newDice(seed uint64) *dice {
	rng := rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15)) //nolint:gosec // G404: a schedule must be repeatable
	return &dice{seed: seed, rng: rng, left: 1 + rng.IntN(6), every: 4 + rng.IntN(28)}
}

func (d *dice) pick(_ string, options []string) int {
	n := len(options)
	if n < 2 || d.left == 0 || d.rng.IntN(d.every) != 0 {
		return 0
	}
	d.left--
	return 1 + d.rng.IntN(n-1)
}

func (d *dice) String() string { return fmt.Sprintf("seed %d", d.seed) }

// script selects deviations by name, each at the first point of its name after the
// previous one. Unlike a schedule, it stays valid when the options of a point change.
type script []turn

// turn is one deviation of a script: option is selected at the nth point named at,
// counted from 1 after the previous turn; 0 means 1.
type turn struct {
	at, option string
	nth        int
}

// scripted returns a chooser that follows a script.
type scripted struct {
	left script
	met  int
}

func (s *scripted) pick(at string, options []string) int {
	if len(s.left) == 0 || s.left[0].at != at {
		return 0
	}
	if s.met++; s.met < s.left[0].nth {
		return 0
	}
	option := slices.Index(options, s.left[0].option)
	if option < 0 {
		panic(fmt.Sprintf("%q cannot happen %s: %q", s.left[0].option, at, options))
	}
	s.left, s.met = s.left[1:], 0
	return option
}
