package scrip

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
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
