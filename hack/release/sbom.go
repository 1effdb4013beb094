package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/CycloneDX/cyclonedx-gomod/pkg/generate/bin"
	"github.com/google/uuid"
	"github.com/rs/zerolog"
)

// sbomEnding follows the name of the binary's archive without its extension.
const sbomEnding = ".cdx.json"

// writeSBOM writes the modules of a binary, as cyclonedx-gomod reads them from it, in the
// format CycloneDX. It uses the library: the program cyclonedx-gomod adds the hash of itself,
// which differs between the machines that compile it.
func writeSBOM(path string, b build, v version, file string, binary []byte) error {
	generator, err := bin.NewGenerator(file, bin.WithIncludeStdlib(true), bin.WithShortPURLS(true),
		bin.WithVersionOverride(string(v)), bin.WithLogger(zerolog.Nop()))
	if err != nil {
		return err
	}
	bom, err := generator.Generate()
	if err != nil {
		return fmt.Errorf("reading the modules of the binary: %w", err)
	}
	if err := checkPublished(bom); err != nil {
		return err
	}
	addStandardLibrary(bom)
	// The serial number is computed from the binary, so the same binary has the same bill.
	digest := sha256.Sum256(binary)
	bom.SerialNumber = uuid.NewSHA1(uuid.NameSpaceOID, digest[:]).URN()
	main := bom.Metadata.Component
	main.Name = b.name
	main.Licenses = &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}}
	main.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(digest[:])}}
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).Encode(bom); err != nil {
		return err
	}
	return writeFile(path, out.Bytes())
}

// checkPublished returns an error for a module without a checksum: a local directory replaces
// it, which only the builder has.
func checkPublished(bom *cdx.BOM) error {
	for _, c := range *bom.Components {
		if c.Hashes == nil && c.Name != "std" {
			return fmt.Errorf("module %s %s has no checksum: a release is built of published modules only", c.Name, c.Version)
		}
	}
	return nil
}

// addStandardLibrary adds the component "std" to the dependencies of the binary, if the
// library does not list it.
func addStandardLibrary(bom *cdx.BOM) {
	std := slices.IndexFunc(*bom.Components, func(c cdx.Component) bool { return c.Name == "std" })
	main := slices.IndexFunc(*bom.Dependencies, func(d cdx.Dependency) bool { return d.Ref == bom.Metadata.Component.BOMRef })
	var needs []string
	if listed := (*bom.Dependencies)[main].Dependencies; listed != nil {
		needs = *listed
	}
	needs = append(needs, (*bom.Components)[std].BOMRef)
	(*bom.Dependencies)[main].Dependencies = &needs
}
