package main

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"
)

// pin is one line of the file checksums.
type pin struct {
	program, version, platform string
	algorithm, sum             string
	url                        string
	// member is the program's path in the archive. Empty: the download is the program.
	member string
}

// checksumLengths has the known algorithms and the length of their checksums in bytes.
var checksumLengths = map[string]int{"sha256": 32, "sha512": 64}

// modules has the module of each program: its version in go.mod is the program's version.
var modules = map[string]string{
	"etcd":                    "go.etcd.io/etcd/server/v3",
	"kube-apiserver":          "k8s.io/kubernetes",
	"kube-controller-manager": "k8s.io/kubernetes",
	"kubectl":                 "k8s.io/kubernetes",
}

func (p pin) String() string {
	line := fmt.Sprintf("%s %s %s %s:%s %s %s", p.program, p.version, p.platform, p.algorithm, p.sum, p.url, p.member)
	return strings.TrimSuffix(line, " ")
}

func readPins(file string) ([]pin, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var pins []pin
	for number, line := range strings.Split(string(content), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		p, err := parsePin(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, number+1, err)
		}
		pins = append(pins, p)
	}
	return pins, nil
}

func parsePin(line string) (pin, error) {
	fields := strings.Fields(line)
	if len(fields) < 5 || len(fields) > 6 {
		return pin{}, fmt.Errorf("%d fields, want 5 or 6", len(fields))
	}
	algorithm, sum, _ := strings.Cut(fields[3], ":")
	p := pin{program: fields[0], version: fields[1], platform: fields[2], algorithm: algorithm, sum: sum, url: fields[4]}
	if len(fields) == 6 {
		p.member = fields[5]
	}
	return p, p.validate()
}

func (p pin) validate() error {
	if modules[p.program] == "" {
		return fmt.Errorf("unknown program %q", p.program)
	}
	decoded, err := hex.DecodeString(p.sum)
	if err != nil || len(decoded) != checksumLengths[p.algorithm] || strings.ToLower(p.sum) != p.sum {
		return fmt.Errorf("%q is not a lowercase sha256 or sha512 checksum", p.algorithm+":"+p.sum)
	}
	if address, err := url.Parse(p.url); err != nil || address.Scheme != "https" || address.Host == "" {
		return fmt.Errorf("%q is not an https address", p.url)
	}
	return p.validateMember()
}

func (p pin) validateMember() error {
	if (p.member != "") != strings.HasSuffix(p.url, ".tar.gz") {
		return fmt.Errorf("a path in the archive belongs to a .tar.gz, and to nothing else")
	}
	if p.member != "" && (path.Clean(p.member) != p.member || path.IsAbs(p.member) || strings.HasPrefix(p.member, "..")) {
		return fmt.Errorf("%q is not a clean relative path", p.member)
	}
	return nil
}

var required = regexp.MustCompile(`(?m)^\s*(?:require )?(\S+) (v\S+)`)

// readVersions returns the version of each program: that of its module in go.mod.
func readVersions(file string) (map[string]string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	byModule := map[string]string{}
	for _, match := range required.FindAllStringSubmatch(string(content), -1) {
		byModule[match[1]] = match[2]
	}
	versions := map[string]string{}
	for program, module := range modules {
		versions[program] = byModule[module]
		if versions[program] == "" {
			return nil, fmt.Errorf("%s requires no %s", file, module)
		}
	}
	return versions, nil
}

// choose returns the pin of each named program, and reports those that have none.
func choose(pins []pin, versions map[string]string, platform string, names []string, say func(string, ...any)) []pin {
	var chosen []pin
	for _, name := range names {
		found := false
		for _, p := range pins {
			if p.program == name && p.version == versions[name] && p.platform == platform {
				chosen, found = append(chosen, p), true
				break
			}
		}
		if !found {
			say("no checksum is pinned for %s %s on %s: building it from source", name, versions[name], platform)
		}
	}
	return chosen
}
