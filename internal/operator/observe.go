package operator

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"

	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/internal/tracing"
)

// flushTimeout limits how long a stop waits until the last traces are sent.
const flushTimeout = 5 * time.Second

// startTracing sets Tracers if a collector is configured. Call flush to send the last
// traces.
func startTracing(ctx context.Context, o *Options) (flush func(), err error) {
	if o.TracingEndpoint == "" {
		return func() {}, nil
	}
	log := o.Logger.WithName("tracing")
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Info("traces could not be sent", "error", err.Error()) }))
	tracers, stop, err := tracing.Start(ctx, tracing.Options{Endpoint: o.TracingEndpoint, Ratio: o.TracingRatio, Version: o.Version})
	if err != nil {
		return nil, err
	}
	o.Tracers = tracers
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		if err := stop(ctx); err != nil {
			log.Info("the last traces could not be sent", "error", err.Error())
		}
	}, nil
}

// driverOf returns a function that returns the type of a provider's driver, or "" if the
// driver is missing.
func driverOf(drivers *registry.Registry) func(account.Object) string {
	return func(o account.Object) string {
		driver, _, err := drivers.Resolve(registry.Spec{ProviderSpec: o.Spec})
		if err != nil {
			return ""
		}
		return driver.Type()
	}
}
