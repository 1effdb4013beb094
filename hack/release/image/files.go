package image

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// caBundle is the path where crypto/tls, OpenSSL and others find root certificates.
const caBundle = "/etc/ssl/certs/ca-certificates.crt"

const (
	passwd = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
	group  = "root:x:0:\nnonroot:x:65532:\n"
	// nsswitch has files before dns, so that /etc/hosts counts.
	nsswitch = "hosts: files dns\n"
)

// Roots returns the root certificates of Mozilla in PEM. It leaves out a root that Mozilla
// trusts only for older certificates, because PEM cannot express that.
func Roots() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
		}
	}
	return out.Bytes()
}

// rootFilesystem returns the only layer: parents before children, in order of their names.
func rootFilesystem(binaries map[string][]byte) ([]byte, error) {
	headers := map[string]*tar.Header{}
	contents := map[string][]byte{}
	add := func(name string, mode int64, content []byte) {
		headers[name] = &tar.Header{Typeflag: tar.TypeReg, Name: name[1:], Mode: mode, Size: int64(len(content))}
		contents[name] = content
		for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
			headers[dir] = &tar.Header{Typeflag: tar.TypeDir, Name: dir[1:] + "/", Mode: 0o755}
		}
	}
	add("/etc/passwd", 0o644, []byte(passwd))
	add("/etc/group", 0o644, []byte(group))
	add("/etc/nsswitch.conf", 0o644, []byte(nsswitch))
	add(caBundle, 0o644, Roots())
	for name, content := range binaries {
		if headers[name] != nil {
			return nil, fmt.Errorf("%s is taken", name)
		}
		add(name, 0o755, content)
	}
	headers["/home/nonroot"] = &tar.Header{Typeflag: tar.TypeDir, Name: "home/nonroot/", Mode: 0o700, Uid: 65532, Gid: 65532}
	headers["/home"] = &tar.Header{Typeflag: tar.TypeDir, Name: "home/", Mode: 0o755}
	headers["/tmp"] = &tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}
	names := make([]string, 0, len(headers))
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	var out bytes.Buffer
	t := tar.NewWriter(&out)
	for _, name := range names {
		headers[name].ModTime, headers[name].Format = Epoch(), tar.FormatUSTAR
		if err := t.WriteHeader(headers[name]); err != nil {
			return nil, err
		}
		if _, err := t.Write(contents[name]); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), t.Close()
}

// machines by the names that images have for them.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// checkBinary returns an error for a file that could not start in an image without other
// files, such as a dynamic linker.
func checkBinary(content []byte, platform v1.Platform) error {
	machine, known := machines[platform.Architecture]
	if platform.OS != "linux" || !known {
		return fmt.Errorf("platform %s: images are for linux/amd64 and linux/arm64", platform)
	}
	file, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("this is no Linux program: %w", err)
	}
	if file.Machine != machine {
		return fmt.Errorf("this is a program for %s, not for %s", strings.TrimPrefix(file.Machine.String(), "EM_"), platform)
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("this program needs shared libraries, which the image does not have; build it with CGO_ENABLED=0")
		}
	}
	return nil
}
