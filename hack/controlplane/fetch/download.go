package main

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// errChecksum means that a file does not have the pinned checksum.
var errChecksum = errors.New("wrong checksum")

// newClient returns a client that follows redirects, as release pages need, but never from https to http.
func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// A decompressed file has another checksum than the file.
	transport.DisableCompression = true
	return &http.Client{
		Transport: transport,
		CheckRedirect: func(request *http.Request, via []*http.Request) error {
			if len(via) > 5 {
				return errors.New("more than 5 redirects")
			}
			if via[0].URL.Scheme == "https" && request.URL.Scheme != "https" {
				return errors.New("redirected from https to " + request.URL.Scheme)
			}
			return nil
		},
	}
}

// address returns the address to download from: the pinned one, or that of the mirror.
func (f *fetcher) address(pinned string) string {
	if f.mirror == "" {
		return pinned
	}
	return f.mirror + "/" + strings.TrimPrefix(pinned, "https://")
}

// meter counts the bytes of a download.
type meter struct{ received, size atomic.Int64 }

func (m *meter) Write(b []byte) (int, error) {
	m.received.Add(int64(len(b)))
	return len(b), nil
}

// watch cancels a download that sends nothing or is slower than building.
func (f *fetcher) watch(ctx context.Context, m *meter, giveUp context.CancelCauseFunc) {
	ticker := time.NewTicker(f.patience)
	defer ticker.Stop()
	before := int64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			received := m.received.Load()
			if err := f.verdict(before, received, m.size.Load()); err != nil {
				giveUp(err)
				return
			}
			before = received
		}
	}
}

// verdict is called after each span of patience. It returns why to cancel the download, or nil.
// The span in which the first bytes arrive is not a measure of the speed.
func (f *fetcher) verdict(before, received, size int64) error {
	gained := received - before
	if gained == 0 {
		return fmt.Errorf("nothing received for %s", f.patience)
	}
	if size <= 0 {
		size = f.maxDownload
	}
	left := time.Duration(float64(size-received) / float64(gained) * float64(f.patience))
	if before > 0 && left > f.limit {
		return fmt.Errorf("too slow: %s left at this speed", left.Round(time.Second))
	}
	return nil
}

// download returns the file at a pinned address, which has the pinned checksum. The
// file has no name any more: closing it removes it.
func (f *fetcher) download(ctx context.Context, p pin) (*os.File, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	progress := &meter{}
	go f.watch(ctx, progress, cancel)

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.address(p.url), nil)
	if err != nil {
		return nil, err
	}
	response, err := f.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("cannot reach %s: %w", request.URL.Host, reason(ctx, err))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", request.URL.Host, response.Status)
	}
	if response.ContentLength > f.maxDownload {
		return nil, fmt.Errorf("the file has %d bytes, the most that is accepted is %d", response.ContentLength, f.maxDownload)
	}
	progress.size.Store(response.ContentLength)
	file, err := f.anonymous()
	if err != nil {
		return nil, err
	}
	if err := f.receive(ctx, p, response.Body, file, progress); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

func (f *fetcher) receive(ctx context.Context, p pin, body io.Reader, file io.Writer, progress *meter) error {
	sum := newHash(p.algorithm)
	received, err := io.Copy(io.MultiWriter(file, sum, progress), io.LimitReader(body, f.maxDownload+1))
	if err != nil {
		return fmt.Errorf("cut off after %d bytes: %w", received, reason(ctx, err))
	}
	if received > f.maxDownload {
		return fmt.Errorf("the file has more than %d bytes, the most that is accepted", f.maxDownload)
	}
	if actual := hex.EncodeToString(sum.Sum(nil)); actual != p.sum {
		return fmt.Errorf("%w: %s is %s, pinned is %s", errChecksum, p.algorithm, actual, p.sum)
	}
	return nil
}

// anonymous returns a file that leaves nothing behind, even if the process is killed.
func (f *fetcher) anonymous() (*os.File, error) {
	file, err := os.CreateTemp(f.into, ".download-*")
	if err != nil {
		return nil, err
	}
	return file, os.Remove(file.Name())
}

// reason returns why the download was canceled, or else the error without its address.
func reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

func newHash(algorithm string) hash.Hash {
	if algorithm == "sha512" {
		return sha512.New()
	}
	return sha256.New()
}
