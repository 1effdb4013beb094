package session

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"apitoken.dev/operator/internal/cli/exit"
)

// Confirm asks a question; anything but yes refuses.
func (s *Session) Confirm(question string) error {
	fmt.Fprint(s.ErrOut, question+" [y/N] ")
	answer, err := bufio.NewReader(s.In).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return exit.Refusedf("nothing was done: the answer was not yes. To confirm without the question, use --yes")
}
