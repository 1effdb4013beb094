package conformance

import "apitoken.dev/operator/internal/provider"

// byHand reports whether a person makes what the Harness grants.
func byHand(h Harness) bool {
	_, ok := formOf(h, provider.MintRequest{
		Owner: provider.Owner{Namespace: "conformance", Token: "first"}, Grant: h.Grant(),
	})
	return ok
}

func formOf(h Harness, req provider.MintRequest) (provider.Form, bool) {
	driver, ok := provider.As[provider.ByHand](h.Driver)
	if !ok {
		return provider.Form{}, false
	}
	return driver.Form(h.Config, req)
}

// byAPI reports whether Mint makes what the Harness grants, so that Find, List
// and Revoke know it.
func byAPI(h Harness) bool { return !byHand(h) }

// obtains reports whether the suite can get credentials at all.
func obtains(h Harness) bool { return byAPI(h) || h.HandOver != nil }

// most returns how many of n credentials the account has room for.
func most(h Harness, n int) int {
	if room := h.Driver.Capabilities().MaxLive; room > 0 {
		return min(n, room)
	}
	return n
}

func roomForTwo(h Harness) bool { return byAPI(h) && most(h, 2) == 2 }
