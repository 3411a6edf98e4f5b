package main

import (
	"context"
	"errors"
	"fmt"

	billing "scrip.internal/examples/go/gen/billing/v1"
	"scrip.internal/examples/go/internal/scrip"
)

// history follows the entries of the account, through a connection that breaks, up to its own charge.
func history(ctx context.Context, account *account) (string, error) {
	found, err := account.client.GetBalance(ctx, &billing.GetBalanceRequest{AccountId: account.id})
	if err != nil {
		return "", err
	}
	charge := creditsCharge(account.id, 1, "history")
	var last int64
	for entry, err := range scrip.History(ctx, account.client, account.id, 0) {
		if err != nil {
			return "", err
		}
		if entry.Seq != last+1 {
			return "", fmt.Errorf("entry %d after entry %d", entry.Seq, last)
		}
		last = entry.Seq
		if last == found.Balance.Seq {
			if _, err := account.client.Charge(ctx, charge); err != nil {
				return "", err
			}
		}
		if entry.RequestId == charge.RequestId {
			return fmt.Sprintf("kind=%s reference=%s", entry.Kind, entry.Reference), nil
		}
	}
	return "", errors.New("the history ended")
}

// mutualTLS calls as the one whom the certificate names.
func mutualTLS(ctx context.Context, account *account) (string, error) {
	if account.settings.CertFile == "" {
		return "", errors.New("SCRIP_CERT_FILE is not set")
	}
	settings := account.settings
	settings.TokenFile = ""
	return callerOf(ctx, account.id, settings)
}

// jwt calls as the one whom the token names.
func jwt(ctx context.Context, account *account) (string, error) {
	if account.settings.TokenFile == "" {
		return "", errors.New("SCRIP_TOKEN_FILE is not set")
	}
	settings := account.settings
	settings.CertFile, settings.KeyFile = "", ""
	return callerOf(ctx, account.id, settings)
}

// callerOf makes a charge, and tells who made it by its entry.
func callerOf(ctx context.Context, accountID string, settings scrip.Settings) (string, error) {
	connection, err := scrip.Connect(settings)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	client := billing.NewBillingServiceClient(connection)
	charge, err := client.Charge(ctx, creditsCharge(accountID, 1, ""))
	if err != nil {
		return "", err
	}
	for entry, err := range scrip.History(ctx, client, accountID, charge.EntrySeq-1) {
		return "caller=" + entry.GetCaller(), err
	}
	return "", errors.New("the history ended")
}
