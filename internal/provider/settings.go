package provider

import "fmt"

// SettingsOf returns the settings of a configuration as a driver's own type S. The
// error names the driver.
func SettingsOf[S any](driver string, cfg Config) (S, error) {
	s, ok := cfg.Settings.(S)
	if !ok {
		return s, Invalid(fmt.Sprintf("the settings of the %s driver are missing (got %T)", driver, cfg.Settings))
	}
	return s, nil
}
