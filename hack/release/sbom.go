package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"runtime/debug"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
)

// sbomEnding follows the stem of the binary's archive.
const sbomEnding = ".cdx.json"

// writeSBOM writes what a binary is made of, as the binary itself tells, in the
// format CycloneDX. It holds no time, and its serial number comes from the binary,
// so that the same binary has the same bill.
func writeSBOM(path string, b build, v version, binary []byte) error {
	info, err := buildinfo.Read(bytes.NewReader(binary))
	if err != nil {
		return fmt.Errorf("reading the build information: %w", err)
	}
	bom, err := newSBOM(b, v, binary, info)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).Encode(bom); err != nil {
		return err
	}
	return writeFile(path, out.Bytes())
}

func newSBOM(b build, v version, binary []byte, info *debug.BuildInfo) (*cdx.BOM, error) {
	digest := sha256.Sum256(binary)
	bom := cdx.NewBOM()
	bom.SerialNumber = uuid.NewSHA1(uuid.NameSpaceOID, digest[:]).URN()
	main := cdx.Component{
		BOMRef: packageURL(info.Main.Path, string(v)) + "#" + b.pkg, Type: cdx.ComponentTypeApplication,
		Name: b.name, Version: string(v), PackageURL: packageURL(info.Main.Path, string(v)) + "#" + b.pkg,
		Licenses:   &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
		Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(digest[:])}},
		Properties: settings(b, info),
	}
	bom.Metadata = &cdx.Metadata{Component: &main}
	standard := cdx.Component{BOMRef: packageURL("std", info.GoVersion), Type: cdx.ComponentTypeLibrary, Name: "std",
		Version: strings.TrimPrefix(info.GoVersion, "go"), PackageURL: packageURL("std", strings.TrimPrefix(info.GoVersion, "go"))}
	components := []cdx.Component{standard}
	needs := []string{standard.BOMRef}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		// A directory in place of a module has no sum, and nobody else could have it.
		if m.Sum == "" {
			return nil, fmt.Errorf("module %s %s has no checksum: a release is built of published modules only", m.Path, m.Version)
		}
		url := packageURL(m.Path, m.Version)
		components = append(components, cdx.Component{BOMRef: url, Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version,
			PackageURL: url, Properties: &[]cdx.Property{{Name: "go:sum", Value: m.Sum}}})
		needs = append(needs, url)
	}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: main.BOMRef, Dependencies: &needs}}
	return bom, nil
}

func packageURL(path, version string) string { return "pkg:golang/" + path + "@" + version }

// settings are those that the bytes of the binary depend on.
func settings(b build, info *debug.BuildInfo) *[]cdx.Property {
	return &[]cdx.Property{
		{Name: "go:version", Value: info.GoVersion},
		{Name: "go:os", Value: b.os},
		{Name: "go:arch", Value: b.arch},
	}
}
