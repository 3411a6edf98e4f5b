package scrip

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	billing "scrip.internal/examples/go/gen/billing/v1"
)

// Refusal returns why the service refused a call: the reason and its values. It is nil for an error
// that does not come from the service, such as a connection that could not be opened.
func Refusal(err error) *errdetails.ErrorInfo {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.Domain == "billing.scrip" {
			return info
		}
	}
	return nil
}

// MissingCredits returns how many credits a refused call lacked, and the packs that would cover them,
// best first. It is nil for other errors.
func MissingCredits(err error) *billing.InsufficientCredits {
	for _, detail := range status.Convert(err).Details() {
		if missing, ok := detail.(*billing.InsufficientCredits); ok {
			return missing
		}
	}
	return nil
}

// OutcomeUnknown tells whether a failed mutation may have had an effect. The same request, under the
// same id, finds out.
func OutcomeUnknown(err error) bool {
	code := status.Code(err)
	return code == codes.DeadlineExceeded || code == codes.Unavailable
}
