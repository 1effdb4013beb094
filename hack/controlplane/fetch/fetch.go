package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// fetcher downloads programs into a directory.
type fetcher struct {
	client *http.Client
	mirror string // without a slash at its end; empty: the addresses as pinned
	into   string
	// patience is how long a server may send nothing. limit is the longest remaining time
	// of a download, at its current speed.
	patience, limit         time.Duration
	maxDownload, maxProgram int64

	logging sync.Mutex
	log     io.Writer
	// installing prevents that a program starts while another is open for writing: the new
	// process would keep that file open too ("text file busy").
	installing sync.Mutex
}

func (f *fetcher) say(format string, args ...any) {
	f.logging.Lock()
	defer f.logging.Unlock()
	fmt.Fprintf(f.log, format+"\n", args...)
}

// fetch installs the pinned programs and reports those that it cannot install. It downloads
// files concurrently, each once. The caller reports an interrupt.
func (f *fetcher) fetch(ctx context.Context, pins []pin) {
	byAddress := map[string][]pin{}
	for _, p := range pins {
		byAddress[p.url] = append(byAddress[p.url], p)
	}
	var all sync.WaitGroup
	for _, group := range byAddress {
		all.Go(func() {
			if err := f.one(ctx, group); err != nil && ctx.Err() == nil {
				f.report(group, err)
			}
		})
	}
	all.Wait()
}

// report says why programs are not downloaded. A wrong checksum can be an attack: it stands out.
func (f *fetcher) report(group []pin, err error) {
	names := make([]string, len(group))
	for i, p := range group {
		names[i] = p.program
	}
	programs := strings.Join(names, " and ")
	if errors.Is(err, errChecksum) {
		f.say("WARNING: refused %s\nWARNING: %v\nWARNING: building %s from source", f.address(group[0].url), err, programs)
		return
	}
	f.say("%v: building %s from source", err, programs)
}

// one downloads one file and installs the programs in it.
func (f *fetcher) one(ctx context.Context, group []pin) error {
	file, err := f.download(ctx, group[0])
	if err != nil {
		return err
	}
	defer file.Close()
	for _, p := range group {
		if p.url != group[0].url || p.algorithm != group[0].algorithm || p.sum != group[0].sum {
			return fmt.Errorf("two checksums are pinned for %s", p.url)
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if err := f.install(ctx, p, file); err != nil {
			return fmt.Errorf("%s of %s: %w", p.program, path.Base(p.url), err)
		}
		from, _ := url.Parse(f.address(p.url))
		f.say("downloaded %s %s from %s (%s %s…)", p.program, p.version, from.Host, p.algorithm, p.sum[:12])
	}
	return nil
}

// install puts a program into the directory: whole and of the right version, or not at all.
func (f *fetcher) install(ctx context.Context, p pin, file io.Reader) error {
	f.installing.Lock()
	defer f.installing.Unlock()
	program, err := os.CreateTemp(f.into, "."+p.program+".*")
	if err != nil {
		return err
	}
	defer os.Remove(program.Name())
	if p.member == "" {
		err = copyAtMost(program, file, f.maxProgram)
	} else {
		err = extract(program, file, p.member, f.maxProgram)
	}
	if err = errors.Join(err, program.Chmod(0o755), program.Sync(), program.Close()); err != nil {
		return err
	}
	if err := checkVersion(ctx, program.Name(), p); err != nil {
		return err
	}
	return os.Rename(program.Name(), filepath.Join(f.into, p.program))
}

// extract copies one file of a .tar.gz. No path in the archive is ever used as a path.
func extract(to io.Writer, archive io.Reader, member string, limit int64) error {
	unzipped, err := gzip.NewReader(archive)
	if err != nil {
		return err
	}
	entries := tar.NewReader(unzipped)
	for {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("the archive has no %s", member)
		}
		if err != nil {
			return err
		}
		if strings.TrimPrefix(entry.Name, "./") != member {
			continue
		}
		if entry.Typeflag != tar.TypeReg {
			return fmt.Errorf("%s in the archive is not a regular file", member)
		}
		return copyAtMost(to, entries, limit)
	}
}

func copyAtMost(to io.Writer, from io.Reader, limit int64) error {
	copied, err := io.Copy(to, io.LimitReader(from, limit+1))
	if err == nil && copied > limit {
		return fmt.Errorf("the program has more than %d bytes, the most that is accepted", limit)
	}
	return err
}

var versionWord = regexp.MustCompile(`[0-9]+\.[0-9]+\.[0-9]+[-+.0-9A-Za-z]*`)

// checkVersion starts the program and compares the version that it reports.
func checkVersion(ctx context.Context, file string, p pin) error {
	args := []string{"--version"}
	if p.program == "kubectl" {
		args = []string{"version", "--client"}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, file, args...)
	command.Env = []string{"HOME=/nonexistent", "KUBECONFIG=/dev/null"}
	output, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("it does not start: %w", err)
	}
	if reported := versionWord.FindString(string(output)); reported != strings.TrimPrefix(p.version, "v") {
		return fmt.Errorf("it reports version %q, not %s", reported, p.version)
	}
	return nil
}
