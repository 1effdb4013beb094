package account

import "crypto/sha256"

// Identity identifies an account among all providers of the cluster: the driver's
// type, the server that its requests are sent to, and the ID that this server
// answered. Where a declaration of a namespace can choose that ID, the minting
// credentials are part of the key, so that no provider can claim an account that it
// has no credentials for.
//
// It is the only thing by which accounts of different providers may be compared. It
// is an HMAC under a key of this process: it has the same length whatever a provider
// answers, means nothing outside the process, and is never shown, logged or stored.
type Identity [sha256.Size]byte

// MinterIdentity identifies an account together with the minting credentials in use. Two
// providers that have the same one see the same at the server. Like an Identity
// it stays in the process.
type MinterIdentity [sha256.Size]byte
