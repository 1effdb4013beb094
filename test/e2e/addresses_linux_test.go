package e2e

import (
	"net"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestKloudBeanTokenWorksFromAllowedAddressesOnly uses one key from several addresses: on
// Linux, the loopback interface has all of 127.0.0.0/8.
func TestKloudBeanTokenWorksFromAllowedAddressesOnly(t *testing.T) {
	p := openKloudBean(t)
	g := p.grant()
	g.AllowedIPs, g.DeniedIPs = []string{"127.0.0.0/29"}, []string{"127.0.0.2"}
	minted := p.mint(t, p.connect(t), g)
	for address, want := range map[string]bool{"127.0.0.1": true, "127.0.0.2": false, "127.0.0.3": true, "127.0.0.9": false} {
		t.Run(address, func(t *testing.T) {
			wantAllowed(t, "a request from "+address, want, listing(t.Context(), p.open(keysOf(minted), from(address))))
		})
	}
}

// from makes a client send its requests from an address.
func from(address string) func(*s3.Options) {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return func(o *s3.Options) {
		o.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	}
}
