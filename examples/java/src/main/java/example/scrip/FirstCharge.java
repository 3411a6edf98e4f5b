package example.scrip;

import com.google.rpc.ErrorInfo;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;
import scrip.billing.v1.BillingServiceGrpc;
import scrip.billing.v1.BillingServiceGrpc.BillingServiceBlockingStub;
import scrip.billing.v1.ChargeRequest;
import scrip.billing.v1.ChargeResponse;
import scrip.billing.v1.GetBalanceRequest;
import scrip.billing.v1.GetBalanceResponse;
import scrip.billing.v1.Usage;
import scrip.billing.v1.Usages;

/**
 * Charges an account for one page extraction, and prints what is left.
 *
 * <pre>FirstCharge ACCOUNT_ID [REQUEST_ID]</pre>
 *
 * It exits with 1 if the call failed, and with 2 if it could not be made.
 */
public final class FirstCharge {
  private FirstCharge() {}

  public static void main(String[] arguments) {
    System.exit(run(arguments));
  }

  private static int run(String[] arguments) {
    if (arguments.length < 1 || arguments.length > 2) {
      System.err.println("usage: FirstCharge ACCOUNT_ID [REQUEST_ID]");
      return 2;
    }
    // One request id per job, made outside of any retry: the same id is never charged twice.
    String requestId = arguments.length == 2 ? arguments[1] : UUID.randomUUID().toString();
    ManagedChannel channel;
    try {
      channel = Connection.open(Settings.fromEnvironment(), new ServiceClock());
    } catch (IOException | IllegalArgumentException error) {
      System.err.println(error.getMessage());
      return 2;
    }
    try {
      firstCharge(BillingServiceGrpc.newBlockingStub(channel), arguments[0], requestId);
      return 0;
    } catch (StatusRuntimeException error) {
      print(error);
      return 1;
    } finally {
      channel.shutdownNow();
    }
  }

  private static void firstCharge(
      BillingServiceBlockingStub billing, String accountId, String requestId) {
    Usage extraction =
        Usage.newBuilder()
            .setOperation("extraction.result_per_file")
            .putQuantities("pages", 2)
            .build();
    ChargeResponse charge =
        billing.charge(
            ChargeRequest.newBuilder()
                .setAccountId(accountId)
                .setRequestId(requestId)
                .setUsages(Usages.newBuilder().addItems(extraction))
                .build());
    System.out.println("charged " + charge.getCredits() + " credits");

    GetBalanceResponse response =
        billing.getBalance(GetBalanceRequest.newBuilder().setAccountId(accountId).build());
    System.out.println(response.getBalance().getAvailable() + " credits available");
  }

  private static void print(StatusRuntimeException error) {
    System.err.println(error.getStatus().getCode() + ": " + error.getStatus().getDescription());
    Optional<ErrorInfo> refusal = Refusal.of(error);
    if (refusal.isEmpty()) return;
    System.err.println("reason=" + refusal.get().getReason());
    new TreeMap<>(refusal.get().getMetadataMap())
        .forEach((key, value) -> System.err.println(key + "=" + value));
  }
}
