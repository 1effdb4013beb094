package account

import "crypto/sha256"

// Identity identifies an account among all providers of the cluster. It is made from the
// driver's type, the server that the requests are sent to, and the ID in the server's
// answer. If a namespaced provider can choose that ID, the minting credentials are part of
// the Identity, so no provider can claim an account without its credentials.
//
// Compare accounts of different providers only by Identity. It is an HMAC with a random
// key of this process: it is meaningless elsewhere, and never shown, logged or stored.
type Identity [sha256.Size]byte

// MinterIdentity identifies an account together with the minting credentials in use. Two
// providers with the same one see the same credentials at the server. It is an HMAC too.
type MinterIdentity [sha256.Size]byte
