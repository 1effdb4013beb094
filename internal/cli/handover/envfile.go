package handover

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/envname"
)

// readEnvFile reads KEY=VALUE lines; - is standard input. Errors name the line and
// the key, never what stands behind it.
func readEnvFile(stdin io.Reader, path string) (map[string][]byte, error) {
	in := stdin
	if path != "-" {
		f, err := os.Open(path) //nolint:gosec // G304: the user names the file
		if err != nil {
			return nil, exit.Usagef("--from-env-file: %w", err)
		}
		defer f.Close()
		in = f
	}
	out := map[string][]byte{}
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\xef\xbb\xbf")))
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		line = bytes.TrimPrefix(line, []byte("export "))
		key, value, ok := bytes.Cut(line, []byte("="))
		name := string(bytes.TrimSpace(key))
		if !ok || !envname.Valid(name) {
			return nil, exit.Usagef("--from-env-file: line %d is not KEY=VALUE", n)
		}
		if _, twice := out[name]; twice {
			return nil, exit.Usagef("--from-env-file: line %d gives %s a second time", n, name)
		}
		out[name] = bytes.Clone(unquote(bytes.TrimSpace(value)))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return out, nil
}

// unquote takes one pair of quotes away.
func unquote(value []byte) []byte {
	for _, quote := range []byte{'"', '\''} {
		if len(value) >= 2 && value[0] == quote && value[len(value)-1] == quote {
			return value[1 : len(value)-1]
		}
	}
	return value
}

// checkKeys wants every key that the form asks for, and none that is not known.
func checkKeys(data map[string][]byte, wanted, allowed []string) error {
	var missing, unknown []string
	for _, key := range wanted {
		if len(data[key]) == 0 {
			missing = append(missing, key)
		}
	}
	for key := range data {
		if !slices.Contains(wanted, key) && !slices.Contains(allowed, key) {
			unknown = append(unknown, key)
		}
	}
	slices.Sort(unknown)
	switch {
	case len(missing) > 0:
		return exit.Usagef("%s is missing or empty: submit %s", strings.Join(missing, ", "), strings.Join(wanted, ", "))
	case len(unknown) > 0:
		return exit.Usagef("%s is not expected: submit %s and at most %s", strings.Join(unknown, ", "), strings.Join(wanted, ", "), strings.Join(allowed, ", "))
	}
	return nil
}
