package kit

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"apitoken.dev/operator/test/support/fake"
)

// dumpLine is a line of a hex dump, as libraries log the bytes of a request.
var dumpLine = regexp.MustCompile(`[0-9a-f]{8}  ((?:[0-9a-f]{2} {1,2}){1,16}) *\|`)

// Leaks reports whether a text contains a secret of the tests, which all begin with
// fake.Canary: in plain text, in hex, in a hex dump, or in base64 at any offset.
func Leaks(text string) bool {
	canary := []byte(fake.Canary)
	forms := []string{fake.Canary, hex.EncodeToString(canary), strings.ToUpper(hex.EncodeToString(canary)), fmt.Sprintf("%d", canary)[1:20]}
	for offset := range 3 {
		padded := append(make([]byte, offset), canary...)
		encoded := base64.StdEncoding.EncodeToString(padded)
		begin := (offset*8 + 5) / 6
		forms = append(forms, encoded[begin:len(padded)*8/6])
	}
	for _, form := range forms {
		if strings.Contains(text, form) {
			return true
		}
	}
	var raw []byte
	for _, line := range dumpLine.FindAllStringSubmatch(text, -1) {
		part, err := hex.DecodeString(strings.ReplaceAll(line[1], " ", ""))
		if err == nil {
			raw = append(raw, part...)
		}
	}
	return bytes.Contains(raw, canary)
}
