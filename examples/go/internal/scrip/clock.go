package scrip

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// Clock shows the time of the service, which every answer has. Until the first one it is the time of
// this machine.
type Clock struct{ ahead atomic.Int64 }

// Now is the present time of the service.
func (clock *Clock) Now() time.Time {
	return time.Now().Add(time.Duration(clock.ahead.Load()))
}

// NotAfter is what a mutation that is repeated for so long has as its not_after: what arrives later
// than a minute after that has no effect.
func (clock *Clock) NotAfter(timeout time.Duration) time.Time {
	return clock.Now().Add(timeout + time.Minute).Truncate(time.Millisecond)
}

// learn is an interceptor: it reads the trailer scrip-time.
func (clock *Clock) learn(ctx context.Context, method string, request, response any,
	channel *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	var trailer metadata.MD
	err := invoke(ctx, method, request, response, channel, append(options, grpc.Trailer(&trailer))...)
	if times := trailer.Get("scrip-time"); len(times) == 1 {
		if ms, invalid := strconv.ParseInt(times[0], 10, 64); invalid == nil {
			clock.ahead.Store(int64(time.Until(time.UnixMilli(ms))))
		}
	}
	return err
}
