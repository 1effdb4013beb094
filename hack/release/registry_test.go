package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

const registryConfig = `version: 0.1
log: {level: info}
storage: {inmemory: {}}
http: {addr: "127.0.0.1:0"}
`

var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:[0-9]+)`)

// distribution starts the registry of the CNCF's distribution project, which has no referrers API. It
// returns the address for a release.
func distribution(t *testing.T) string {
	t.Helper()
	modfile, err := filepath.Abs(filepath.Join("tools", "registry", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	binary, config := filepath.Join(dir, "registry"), filepath.Join(dir, "config.yml")
	build := exec.CommandContext(t.Context(), "go", "build", "-modfile="+modfile, "-o", binary, "github.com/distribution/distribution/v3/cmd/registry")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the registry: %v\n%s", err, out)
	}
	if err := os.WriteFile(config, []byte(registryConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	server := exec.CommandContext(t.Context(), binary, "serve", config)
	server.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	logs, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	address := make(chan string, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(address)
		for lines := bufio.NewScanner(logs); lines.Scan(); {
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				address <- m[1]
			}
		}
	}()
	t.Cleanup(func() {
		if err := server.Process.Kill(); err != nil {
			t.Error(err)
		}
		<-ended
		_ = server.Wait() // returns an error, because the process was killed
	})
	at, ok := <-address
	if !ok {
		t.Fatal("the registry ended before it listened")
	}
	return at + "/team"
}
