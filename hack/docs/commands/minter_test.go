package commands

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The next steps would use an empty Secret as a minting credential.
func TestGettingStartedMakesASecretOnlyOfKeysThatItHas(t *testing.T) {
	page := filepath.Join("..", "..", "..", "docs", "getting-started.md")
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range []string{"At AWS", "At another store"} {
		script := ""
		for _, b := range Blocks(page, sections(string(content))[section]) {
			if strings.Contains(b.Text, "create-access-key") {
				script += b.Text
			}
		}
		for name, c := range map[string]struct {
			aws  string
			want string // the input of kubectl; "" if it is not called
		}{
			"a key is made":    {`printf 'AKIAEXAMPLE\tsecret\n'`, "AWS_ACCESS_KEY_ID=AKIAEXAMPLE\nAWS_SECRET_ACCESS_KEY=secret\n"},
			"the user has two": {"echo LimitExceeded >&2; exit 254", ""},
		} {
			t.Run(section+"/"+name, func(t *testing.T) {
				got, err := followed(t, script, c.aws)
				var failed *exec.ExitError
				if got != c.want || errors.As(err, &failed) != (c.want == "") {
					t.Errorf("kubectl read %q, and the block ended with %v", got, err)
				}
			})
		}
	}
}

// followed runs a script as if a reader pasted it, with a fake aws command that creates access keys.
// It returns the input of kubectl.
func followed(t *testing.T, script, aws string) (string, error) {
	t.Helper()
	bin := t.TempDir()
	read := filepath.Join(bin, "read")
	for name, text := range map[string]string{
		"aws":     "case \"$*\" in *create-access-key*) " + aws + ";; esac",
		"kubectl": "cat >" + quote(read),
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Env = []string{"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "IAM_ENDPOINT=https://iam.example.com", "REGION=us-east-1"}
	err := cmd.Run()
	content, missing := os.ReadFile(read)
	if missing != nil && !os.IsNotExist(missing) {
		t.Fatal(missing)
	}
	return string(content), err
}
