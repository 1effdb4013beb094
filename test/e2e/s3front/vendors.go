package s3front

import (
	"context"
	"fmt"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/simulate/crusoesim"
	"apitoken.dev/operator/test/support/simulate/ibeesim"
	"apitoken.dev/operator/test/support/simulate/kloudbeansim"
)

var (
	_ ibeesim.Keys      = IBEE{}
	_ crusoesim.Keys    = Crusoe{}
	_ kloudbeansim.Keys = KloudBean{}
)

// IBEE is the object storage of an ibeesim.Simulator.
type IBEE struct{ *Front }

// Create implements ibeesim.Keys. An administrator's permission to read includes
// objects, as in the driver.
func (p IBEE) Create(ctx context.Context, key ibeesim.Key) error {
	permission, ok := map[string]Permission{
		"object_ro": Read, "object_rw": ReadWrite, "admin_ro": AdminRead, "admin_rw": Admin,
	}[key.Permission]
	if !ok {
		return fmt.Errorf("IBEE has no permission %q", key.Permission)
	}
	return p.Front.Create(ctx, Key{
		AccessKeyID: key.AccessKeyID, Secret: provider.NewValue(key.Secret),
		Access: Access{Permission: permission, Buckets: key.Buckets},
	})
}

// Crusoe is the object storage of a crusoesim.Simulator.
type Crusoe struct{ *Front }

// Create implements crusoesim.Keys: every key has the full access of its user until it expires.
func (p Crusoe) Create(ctx context.Context, key crusoesim.Key) error {
	return p.Front.Create(ctx, Key{
		AccessKeyID: key.AccessKeyID, Secret: provider.NewValue(key.SecretKey),
		Access: Access{Permission: Admin, Until: key.ExpireAt},
	})
}

// KloudBean is the object storage of a kloudbeansim.Simulator, in place of the
// simulator's own.
type KloudBean struct{ *Front }

// Create implements kloudbeansim.Keys.
func (p KloudBean) Create(ctx context.Context, key kloudbeansim.Key) error {
	access, err := filledIn(key.Form)
	if err != nil {
		return err
	}
	return p.Front.Create(ctx, Key{AccessKeyID: key.AccessKeyID, Secret: key.Secret, Access: access})
}

// Edit does what the panel does when the addresses of a token are edited. The
// simulator does not report such edits.
func (p KloudBean) Edit(ctx context.Context, accessKeyID string, form kloudbeansim.Form) error {
	access, err := filledIn(form)
	if err != nil {
		return err
	}
	return p.Change(ctx, accessKeyID, access)
}

// filledIn returns the access that a form of the panel requests.
func filledIn(form kloudbeansim.Form) (Access, error) {
	permission, ok := map[string]Permission{
		kloudbeansim.ReadOnly: Read, kloudbeansim.WriteOnly: Write, kloudbeansim.ReadWrite: ReadWrite,
	}[form.Permission]
	if !ok {
		return Access{}, fmt.Errorf("KloudBean has no permission %q", form.Permission)
	}
	return Access{
		Permission: permission, Buckets: []string{form.Bucket},
		AllowedIPs: form.AllowedIPs, DeniedIPs: form.DisallowedIPs,
	}, nil
}
