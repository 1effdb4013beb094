package provider

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Endpoint parses the URL of a server that a setting names, such as
// https://api.example.com/v1. It is the only check of such URLs: every driver reads its
// endpoints with it, and the schema of the API repeats it in CEL. The result has no
// slash at its end. The error is a *Error that names the field but not the value, because
// the value can contain a password.
func Endpoint(field, value string) (*url.URL, error) {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" || strings.Contains(value, " ") {
		return nil, Invalid(field + " is not the URL of a server; write http:// or https:// and a host, for example https://api.example.com")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, Invalid(field + " may have a scheme, a host, a port and a path, and nothing else, for example https://api.example.com:8443/v1")
	}
	if why := CheckHost(u); why != "" {
		return nil, Invalid(field + " " + why + ", for example https://api.example.com:8443")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u, nil
}

// CheckEndpoints checks pairs of a field and its value with Endpoint, in this order.
// An empty value is skipped.
func CheckEndpoints(fieldsAndValues ...string) error {
	for i := 0; i+1 < len(fieldsAndValues); i += 2 {
		if fieldsAndValues[i+1] == "" {
			continue
		}
		if _, err := Endpoint(fieldsAndValues[i], fieldsAndValues[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// CheckHost returns what is wrong with the host and the port of a URL; "" if they are
// valid.
func CheckHost(u *url.URL) string {
	port := u.Port()
	_, err := strconv.ParseUint(port, 10, 16)
	switch {
	case u.Hostname() == "":
		return "has no host; write one"
	case port == "" && strings.HasSuffix(u.Host, ":"):
		return "ends its host with a colon; write the port, or leave out the colon"
	case port != "" && (err != nil || port[0] == '0'):
		return fmt.Sprintf("has the port %.20q; a port is a number from 1 to 65535", port)
	}
	return ""
}
