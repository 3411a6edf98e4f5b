// first-charge charges an account for one page extraction, and prints what is left.
//
//	first-charge ACCOUNT_ID [REQUEST_ID]
//
// It exits with 1 if the call failed, and with 2 if it could not be made.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/grpc/status"

	billing "scrip.internal/examples/go/gen/billing/v1"
	"scrip.internal/examples/go/internal/scrip"
)

func main() {
	if len(os.Args) < 2 || len(os.Args) > 3 {
		fmt.Fprintln(os.Stderr, "usage: first-charge ACCOUNT_ID [REQUEST_ID]")
		os.Exit(2)
	}
	// One request id per job, made outside of any retry: the same id is never charged twice.
	requestID := uuid.NewString()
	if len(os.Args) == 3 {
		requestID = os.Args[2]
	}
	connection, err := scrip.Connect(scrip.SettingsFromEnvironment())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	defer connection.Close()
	if err := firstCharge(billing.NewBillingServiceClient(connection), os.Args[1], requestID); err != nil {
		printError(err)
		os.Exit(1)
	}
}

func firstCharge(client billing.BillingServiceClient, accountID, requestID string) error {
	ctx := context.Background() // The service config has a deadline.
	charge, err := client.Charge(ctx, &billing.ChargeRequest{
		AccountId: accountID,
		RequestId: requestID,
		Usages: &billing.Usages{Items: []*billing.Usage{{
			Operation:  "extraction.result_per_file",
			Quantities: map[string]int64{"pages": 2},
		}}},
	})
	if err != nil {
		return err
	}
	fmt.Printf("charged %d credits\n", charge.Credits)

	response, err := client.GetBalance(ctx, &billing.GetBalanceRequest{AccountId: accountID})
	if err != nil {
		return err
	}
	fmt.Printf("%d credits available\n", response.Balance.Available)
	return nil
}

func printError(err error) {
	fmt.Fprintf(os.Stderr, "%s: %s\n", status.Code(err), status.Convert(err).Message())
	if refusal := scrip.Refusal(err); refusal != nil {
		fmt.Fprintf(os.Stderr, "reason=%s\n", refusal.Reason)
		for _, key := range slices.Sorted(maps.Keys(refusal.Metadata)) {
			fmt.Fprintf(os.Stderr, "%s=%s\n", key, refusal.Metadata[key])
		}
	}
}
