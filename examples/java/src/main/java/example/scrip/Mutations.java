package example.scrip;

import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.BiFunction;
import scrip.billing.v1.BillingServiceGrpc.BillingServiceBlockingStub;

/** Mutations whose outcome must be known. */
final class Mutations {
  private static final long ATTEMPT_SECONDS = 2;

  private Mutations() {}

  /**
   * Repeats a mutation whose outcome is not known, for so long. Each attempt sends the same request,
   * with the same id, so it has one effect at most.
   */
  static <Q, R> R untilKnown(
      BillingServiceBlockingStub billing,
      BiFunction<BillingServiceBlockingStub, Q, R> method,
      Q request,
      Duration timeout)
      throws InterruptedException {
    long end = System.nanoTime() + timeout.toNanos();
    while (true) {
      try {
        return method.apply(
            billing.withDeadlineAfter(ATTEMPT_SECONDS, TimeUnit.SECONDS), request);
      } catch (StatusRuntimeException error) {
        if (!Refusal.isOutcomeUnknown(error) || System.nanoTime() > end) throw error;
      }
      Thread.sleep(200);
    }
  }
}
