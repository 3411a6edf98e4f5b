// scenarios shows what a product service does with Scrip, and prints one line for each.
//
//	scenarios ACCOUNT_ID [NAME...]
//
// It exits with 1 if a call failed that should not, and with 2 if none could be made.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	billing "scrip.internal/examples/go/gen/billing/v1"
	"scrip.internal/examples/go/internal/scrip"
)

// A scenario returns its line.
type scenario struct {
	name string
	run  func(context.Context, *account) (string, error)
}

var scenarios = []scenario{
	{"estimate", estimate},
	{"reserve", reserve},
	{"partial-commits", partialCommits},
	{"release", release},
	{"insufficient-credits", insufficientCredits},
	{"replay", replay},
	{"unknown-outcome", unknownOutcome},
	{"expiry", expiry},
	{"history", history},
	{"mutual-tls", mutualTLS},
	{"jwt", jwt},
}

// account is an account, and who calls about it.
type account struct {
	id       string
	settings scrip.Settings
	clock    *scrip.Clock
	client   billing.BillingServiceClient
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: scenarios ACCOUNT_ID [NAME...]")
		os.Exit(2)
	}
	settings := scrip.SettingsFromEnvironment()
	// The certificate names the caller of all but the last.
	caller := settings
	if settings.CertFile != "" {
		caller.TokenFile = ""
	}
	connection, err := scrip.Connect(caller)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	defer connection.Close()
	client := billing.NewBillingServiceClient(connection)
	account := &account{os.Args[1], settings, connection.Clock, client}
	for _, scenario := range scenarios {
		if len(os.Args) > 2 && !slices.Contains(os.Args[2:], scenario.name) {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		line, err := scenario.run(ctx, account)
		cancel()
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", scenario.name, err)
			os.Exit(1)
		}
		fmt.Printf("%s: %s\n", scenario.name, line)
	}
}
