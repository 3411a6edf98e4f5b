package example.scrip;

import com.google.protobuf.util.Durations;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import scrip.billing.v1.BillingServiceGrpc.BillingServiceBlockingStub;
import scrip.billing.v1.ExtendReservationRequest;
import scrip.billing.v1.Reservation;

/** Extends a reservation while its job runs, until it is closed. */
final class Heartbeat implements AutoCloseable {
  private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();

  /**
   * A job has a heartbeat each third of the TTL.
   *
   * @param extended gets the reservation after each extension
   * @param lost gets the refusal if the reservation is lost: the job must end
   */
  Heartbeat(
      BillingServiceBlockingStub billing,
      Reservation reservation,
      Duration ttl,
      Duration interval,
      Consumer<Reservation> extended,
      Consumer<StatusRuntimeException> lost) {
    ExtendReservationRequest request =
        ExtendReservationRequest.newBuilder()
            .setAccountId(reservation.getAccountId())
            .setReservationId(reservation.getReservationId())
            .setTtl(Durations.fromMillis(ttl.toMillis()))
            .build();
    Runnable beat =
        () -> {
          String requestId = UUID.randomUUID().toString();
          try {
            extended.accept(
                billing
                    .extendReservation(request.toBuilder().setRequestId(requestId).build())
                    .getReservation());
          } catch (StatusRuntimeException error) {
            if (Refusal.isOutcomeUnknown(error)) return;
            timer.shutdown();
            lost.accept(error);
          }
        };
    timer.scheduleWithFixedDelay(
        beat, interval.toMillis(), interval.toMillis(), TimeUnit.MILLISECONDS);
  }

  @Override
  public void close() {
    timer.shutdownNow();
  }
}
