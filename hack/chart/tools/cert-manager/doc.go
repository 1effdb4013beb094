// Package certmanager pins cert-manager. The import keeps it in go.mod.
package certmanager

import _ "github.com/cert-manager/cert-manager/pkg/apis/certmanager"
