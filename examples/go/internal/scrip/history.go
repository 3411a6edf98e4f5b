package scrip

import (
	"context"
	"iter"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	billing "scrip.internal/examples/go/gen/billing/v1"
)

// History follows the entries of an account, each once and in order. Where a stream breaks, the next
// one resumes after the last message, on any replica.
func History(
	ctx context.Context, client billing.BillingServiceClient, accountID string, afterSeq int64,
) iter.Seq2[*billing.Entry, error] {
	return func(yield func(*billing.Entry, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for {
			stream, err := client.StreamHistory(ctx, &billing.StreamHistoryRequest{
				AccountId: accountID, AfterSeq: afterSeq, Follow: true,
			})
			for err == nil {
				var page *billing.StreamHistoryResponse
				if page, err = stream.Recv(); err != nil {
					break
				}
				for _, entry := range page.Entries {
					if !yield(entry, nil) {
						return
					}
				}
				afterSeq = page.NextAfterSeq
			}
			if status.Code(err) != codes.Unavailable {
				yield(nil, err)
				return
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
}
