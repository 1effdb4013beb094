package testutil

import "time"

// Patience is how long a test waits for something that must happen before it fails. It
// is far longer than anything takes on a busy machine: no test passes because of it.
const Patience = 2 * time.Minute
