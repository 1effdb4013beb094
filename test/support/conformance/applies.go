package conformance

import "apitoken.dev/operator/internal/provider"

// manual reports whether the credentials that the Harness grants are manual.
func manual(h Harness) bool {
	_, ok := formOf(h, provider.MintRequest{
		Owner: provider.Owner{Namespace: "conformance", Token: "first"}, Grant: h.Grant(),
	})
	return ok
}

func formOf(h Harness, req provider.MintRequest) (provider.Form, bool) {
	driver, ok := provider.As[provider.Manual](h.Driver)
	if !ok {
		return provider.Form{}, false
	}
	return driver.Form(h.Config, req)
}

// byAPI reports whether Mint makes the credentials that the Harness grants, so that
// Find, List and Revoke apply to them.
func byAPI(h Harness) bool { return !manual(h) }

// obtains reports whether the suite can obtain credentials.
func obtains(h Harness) bool { return byAPI(h) || h.HandOver != nil }

// most returns how many of n credentials the account has room for.
func most(h Harness, n int) int {
	if room := h.Driver.Capabilities().MaxLive; room > 0 {
		return min(n, room)
	}
	return n
}

func roomForTwo(h Harness) bool { return byAPI(h) && most(h, 2) == 2 }
