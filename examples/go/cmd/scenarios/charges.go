package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	billing "scrip.internal/examples/go/gen/billing/v1"
	"scrip.internal/examples/go/internal/scrip"
)

// pages are the usages of an extraction from a document.
func pages(count int64) *billing.Usages {
	return &billing.Usages{Items: []*billing.Usage{{
		Operation:  "extraction.result_per_file",
		Quantities: map[string]int64{"pages": count},
	}}}
}

// creditsCharge asks for a number of credits. The reference is the caller's own name for the job.
func creditsCharge(accountID string, credits int64, reference string) *billing.ChargeRequest {
	return &billing.ChargeRequest{
		AccountId: accountID, RequestId: uuid.NewString(), Credits: &credits, Reference: reference,
	}
}

// estimate prices a job, and changes nothing.
func estimate(ctx context.Context, account *account) (string, error) {
	estimate, err := account.client.Estimate(ctx, &billing.EstimateRequest{
		AccountId: account.id, Usages: pages(3),
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("credits=%d sufficient=%t", estimate.Credits, estimate.Sufficient), nil
}

// insufficientCredits is refused, and reads what to buy.
func insufficientCredits(ctx context.Context, account *account) (string, error) {
	_, err := account.client.Charge(ctx, creditsCharge(account.id, 100, ""))
	missing := scrip.MissingCredits(err)
	if missing == nil {
		return "", fmt.Errorf("not refused for lack of credits: %w", err)
	}
	offer := missing.Offers[0]
	return fmt.Sprintf("reason=%s required=%d available=%d shortfall=%d offer=%dx%s price=%s%s",
		scrip.Refusal(err).Reason, missing.Required, missing.Available, missing.Shortfall,
		offer.Quantity, offer.Pack.PackId, offer.Price.Amount, offer.Price.Currency), nil
}

// replay sends a request again, and then another one under its id.
func replay(ctx context.Context, account *account) (string, error) {
	request := creditsCharge(account.id, 1, "")
	first, err := account.client.Charge(ctx, request)
	if err != nil {
		return "", err
	}
	again, err := account.client.Charge(ctx, request)
	if err != nil {
		return "", err
	}
	*request.Credits = 2
	_, refused := account.client.Charge(ctx, request)
	return fmt.Sprintf("credits=%d replayed=%t same_entry=%t other=%s", again.Credits,
		again.Replay != nil, again.EntrySeq == first.EntrySeq, scrip.Refusal(refused).GetReason()), nil
}

// unknownOutcome charges once, though an answer is lost.
func unknownOutcome(ctx context.Context, account *account) (string, error) {
	const timeout = 30 * time.Second
	// Any answer tells the time of the service.
	_, err := account.client.GetBalance(ctx, &billing.GetBalanceRequest{AccountId: account.id})
	if err != nil {
		return "", err
	}
	request := creditsCharge(account.id, 2, "unknown-outcome")
	request.NotAfter = timestamppb.New(account.clock.NotAfter(timeout))
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	charge, err := scrip.UntilKnown(ctx, func(ctx context.Context) (*billing.ChargeResponse, error) {
		return account.client.Charge(ctx, request)
	})
	if err != nil {
		return "", err
	}

	// A request that arrives after its not_after has no effect.
	delayed := creditsCharge(account.id, 2, "delayed")
	delayed.NotAfter = timestamppb.New(account.clock.NotAfter(-2 * time.Minute))
	_, refused := account.client.Charge(ctx, delayed)
	return fmt.Sprintf("credits=%d replayed=%t delayed=%s", charge.Credits, charge.Replay != nil,
		scrip.Refusal(refused).GetReason()), nil
}
