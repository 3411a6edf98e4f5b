package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"

	billing "scrip.internal/examples/go/gen/billing/v1"
	"scrip.internal/examples/go/internal/scrip"
)

// reserve keeps a reservation alive while its job runs, and then charges all of it.
func reserve(ctx context.Context, account *account) (string, error) {
	const ttl = 30 * time.Second
	reserved, err := account.client.Reserve(ctx, &billing.ReserveRequest{
		AccountId: account.id, RequestId: uuid.NewString(), Usages: pages(4), Ttl: durationpb.New(ttl),
	})
	if err != nil {
		return "", err
	}
	reservation := reserved.Reservation

	job, end := context.WithCancelCause(ctx)
	defer end(nil)
	beats := make(chan time.Time)
	// A real job has a heartbeat each third of the TTL.
	go heartbeat(job, end, account, reservation, ttl, 100*time.Millisecond, beats)
	var expiresAt time.Time
	select { // The work: it ends with the first heartbeat.
	case expiresAt = <-beats:
	case <-job.Done():
		return "", context.Cause(job)
	}

	all := true
	committed, err := account.client.Commit(ctx, &billing.CommitRequest{
		AccountId: account.id, RequestId: uuid.NewString(),
		ReservationId: reservation.ReservationId, All: &all,
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("held=%d extended=%t committed=%d", reservation.Held,
		expiresAt.After(reservation.ExpiresAt.AsTime()), committed.Committed), nil
}

// heartbeat extends a reservation until the job ends. It ends the job if the reservation is lost.
func heartbeat(job context.Context, end context.CancelCauseFunc, account *account,
	reservation *billing.Reservation, ttl, interval time.Duration, beats chan<- time.Time) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-job.Done():
			return
		case <-ticker.C:
		}
		extended, err := account.client.ExtendReservation(job, &billing.ExtendReservationRequest{
			AccountId: account.id, RequestId: uuid.NewString(),
			ReservationId: reservation.ReservationId, Ttl: durationpb.New(ttl),
		})
		if err != nil && !scrip.OutcomeUnknown(err) {
			end(err)
			return
		}
		if err == nil {
			select {
			case beats <- extended.Reservation.ExpiresAt.AsTime():
			case <-job.Done():
			}
		}
	}
}

// partialCommits charges a job in parts. The last part gives the rest back.
func partialCommits(ctx context.Context, account *account) (string, error) {
	reservation, err := reserveCredits(ctx, account, 6, time.Minute)
	if err != nil {
		return "", err
	}
	var last *billing.Reservation
	for _, part := range []struct {
		credits int64
		final   bool
	}{{2, false}, {1, false}, {1, true}} {
		committed, err := account.client.Commit(ctx, &billing.CommitRequest{
			AccountId: account.id, RequestId: uuid.NewString(),
			ReservationId: reservation.ReservationId, Credits: &part.credits, Final: &part.final,
		})
		if err != nil {
			return "", err
		}
		last = committed.Reservation
	}
	return fmt.Sprintf("committed=%d returned=%d", last.Committed, last.Returned), nil
}

// release gives back what a job that failed had reserved.
func release(ctx context.Context, account *account) (string, error) {
	reservation, err := reserveCredits(ctx, account, 5, time.Minute)
	if err != nil {
		return "", err
	}
	released, err := account.client.Release(ctx, &billing.ReleaseRequest{
		AccountId: account.id, RequestId: uuid.NewString(), ReservationId: reservation.ReservationId,
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("released=%d", released.Released), nil
}

// expiry lets a reservation expire. Its job can still be charged within the grace period of the plan.
func expiry(ctx context.Context, account *account) (string, error) {
	reservation, err := reserveCredits(ctx, account, 2, 100*time.Millisecond)
	for err == nil && reservation.State == billing.Reservation_STATE_ACTIVE {
		time.Sleep(50 * time.Millisecond)
		var found *billing.GetReservationResponse
		found, err = account.client.GetReservation(ctx, &billing.GetReservationRequest{
			AccountId: account.id, ReservationId: reservation.ReservationId,
		})
		reservation = found.GetReservation()
	}
	if err != nil {
		return "", err
	}
	_, refused := account.client.ExtendReservation(ctx, &billing.ExtendReservationRequest{
		AccountId: account.id, RequestId: uuid.NewString(),
		ReservationId: reservation.ReservationId, Ttl: durationpb.New(time.Minute),
	})
	all := true
	late, err := account.client.Commit(ctx, &billing.CommitRequest{
		AccountId: account.id, RequestId: uuid.NewString(),
		ReservationId: reservation.ReservationId, All: &all,
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("state=%s extend=%s committed=%d late=%t", reservation.State,
		scrip.Refusal(refused).GetReason(), late.Committed, late.Reservation.Late), nil
}

func reserveCredits(
	ctx context.Context, account *account, credits int64, ttl time.Duration,
) (*billing.Reservation, error) {
	reserved, err := account.client.Reserve(ctx, &billing.ReserveRequest{
		AccountId: account.id, RequestId: uuid.NewString(), Credits: &credits, Ttl: durationpb.New(ttl),
	})
	return reserved.GetReservation(), err
}
