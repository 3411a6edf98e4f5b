package scrip

import (
	"context"
	"time"
)

// UntilKnown repeats a mutation whose outcome is not known, until the deadline of ctx. Each attempt
// sends the same request, with the same id, so it has one effect at most.
func UntilKnown[Response any](
	ctx context.Context, send func(context.Context) (Response, error),
) (Response, error) {
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		response, err := send(attempt)
		cancel()
		if err == nil || !OutcomeUnknown(err) {
			return response, err
		}
		select {
		case <-ctx.Done():
			return response, err
		case <-time.After(200 * time.Millisecond):
		}
	}
}
