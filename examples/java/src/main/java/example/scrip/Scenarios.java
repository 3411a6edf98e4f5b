package example.scrip;

import com.google.protobuf.util.Durations;
import com.google.protobuf.util.Timestamps;
import com.google.rpc.ErrorInfo;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import scrip.billing.v1.Balance;
import scrip.billing.v1.BillingServiceGrpc;
import scrip.billing.v1.BillingServiceGrpc.BillingServiceBlockingStub;
import scrip.billing.v1.ChargeRequest;
import scrip.billing.v1.ChargeResponse;
import scrip.billing.v1.CommitRequest;
import scrip.billing.v1.CommitResponse;
import scrip.billing.v1.Entry;
import scrip.billing.v1.EstimateRequest;
import scrip.billing.v1.EstimateResponse;
import scrip.billing.v1.ExtendReservationRequest;
import scrip.billing.v1.GetBalanceRequest;
import scrip.billing.v1.GetReservationRequest;
import scrip.billing.v1.InsufficientCredits;
import scrip.billing.v1.PackOffer;
import scrip.billing.v1.ReleaseRequest;
import scrip.billing.v1.ReleaseResponse;
import scrip.billing.v1.Reservation;
import scrip.billing.v1.ReserveRequest;
import scrip.billing.v1.Usage;
import scrip.billing.v1.Usages;

/**
 * What a product service does with Scrip. It prints one line for each scenario.
 *
 * <pre>Scenarios ACCOUNT_ID [NAME...]</pre>
 *
 * It exits with 1 if a call failed that should not, and with 2 if none could be made.
 */
public final class Scenarios {
  private interface Scenario {
    /** Returns its line. */
    String run() throws Exception;
  }

  private final String accountId;
  private final Settings settings;
  private final BillingServiceBlockingStub billing;
  private final ServiceClock clock;

  private Scenarios(
      String accountId, Settings settings, BillingServiceBlockingStub billing, ServiceClock clock) {
    this.accountId = accountId;
    this.settings = settings;
    this.billing = billing;
    this.clock = clock;
  }

  public static void main(String[] arguments) {
    System.exit(run(arguments));
  }

  private static int run(String[] arguments) {
    if (arguments.length < 1) {
      System.err.println("usage: Scenarios ACCOUNT_ID [NAME...]");
      return 2;
    }
    Settings settings = Settings.fromEnvironment();
    // The certificate names the caller of all but the last.
    Settings caller = settings.certFile() == null ? settings : settings.withoutToken();
    ServiceClock clock = new ServiceClock();
    ManagedChannel channel;
    try {
      channel = Connection.open(caller, clock);
    } catch (IOException | IllegalArgumentException error) {
      System.err.println(error.getMessage());
      return 2;
    }
    try {
      BillingServiceBlockingStub billing = BillingServiceGrpc.newBlockingStub(channel);
      List<String> names = Arrays.asList(arguments).subList(1, arguments.length);
      return new Scenarios(arguments[0], settings, billing, clock).runAll(names);
    } finally {
      channel.shutdownNow();
    }
  }

  private int runAll(List<String> names) {
    Map<String, Scenario> scenarios = new LinkedHashMap<>();
    scenarios.put("estimate", this::estimate);
    scenarios.put("reserve", this::reserve);
    scenarios.put("partial-commits", this::partialCommits);
    scenarios.put("release", this::release);
    scenarios.put("insufficient-credits", this::insufficientCredits);
    scenarios.put("replay", this::replay);
    scenarios.put("unknown-outcome", this::unknownOutcome);
    scenarios.put("expiry", this::expiry);
    scenarios.put("history", this::history);
    scenarios.put("mutual-tls", this::mutualTls);
    scenarios.put("jwt", this::jwt);
    for (Map.Entry<String, Scenario> scenario : scenarios.entrySet()) {
      String name = scenario.getKey();
      if (!names.isEmpty() && !names.contains(name)) continue;
      try {
        System.out.println(name + ": " + scenario.getValue().run());
      } catch (Exception error) {
        System.err.println(name + ": " + error);
        return 1;
      }
    }
    return 0;
  }

  /** The price of a job. It changes nothing. */
  private String estimate() {
    EstimateResponse estimate =
        billing.estimate(
            EstimateRequest.newBuilder().setAccountId(accountId).setUsages(pages(3)).build());
    return "credits=%d sufficient=%b".formatted(estimate.getCredits(), estimate.getSufficient());
  }

  /** Keeps a reservation alive while its job runs, and then charges all of it. */
  private String reserve() {
    Duration ttl = Duration.ofSeconds(30);
    Reservation reservation =
        billing
            .reserve(
                ReserveRequest.newBuilder()
                    .setAccountId(accountId)
                    .setRequestId(newId())
                    .setUsages(pages(4))
                    .setTtl(Durations.fromMillis(ttl.toMillis()))
                    .build())
            .getReservation();

    CompletableFuture<Reservation> work = new CompletableFuture<>();
    Reservation extended;
    try (Heartbeat heartbeat =
        new Heartbeat(
            billing,
            reservation,
            ttl,
            Duration.ofMillis(100),
            work::complete,
            work::completeExceptionally)) {
      extended = work.join(); // The work: it ends with the first heartbeat.
    }

    CommitResponse committed =
        billing.commit(
            CommitRequest.newBuilder()
                .setAccountId(accountId)
                .setRequestId(newId())
                .setReservationId(reservation.getReservationId())
                .setAll(true)
                .build());
    boolean isExtended =
        Timestamps.compare(extended.getExpiresAt(), reservation.getExpiresAt()) > 0;
    return "held=%d extended=%b committed=%d"
        .formatted(reservation.getHeld(), isExtended, committed.getCommitted());
  }

  /** Charges a job in parts. The last part gives the rest back. */
  private String partialCommits() {
    Reservation reservation = reserveCredits(6, Duration.ofMinutes(1));
    for (int credits : new int[] {2, 1}) reservation = commit(reservation, credits, false);
    reservation = commit(reservation, 1, true);
    return "committed=%d returned=%d"
        .formatted(reservation.getCommitted(), reservation.getReturned());
  }

  /** Gives back what a job that failed had reserved. */
  private String release() {
    Reservation reservation = reserveCredits(5, Duration.ofMinutes(1));
    ReleaseResponse released =
        billing.release(
            ReleaseRequest.newBuilder()
                .setAccountId(accountId)
                .setRequestId(newId())
                .setReservationId(reservation.getReservationId())
                .build());
    return "released=" + released.getReleased();
  }

  /** Is refused, and reads what to buy. */
  private String insufficientCredits() {
    try {
      billing.charge(charge(100).build());
    } catch (StatusRuntimeException error) {
      ErrorInfo refusal = Refusal.of(error).orElseThrow(() -> error);
      InsufficientCredits missing = Refusal.missingCredits(error).orElseThrow(() -> error);
      PackOffer offer = missing.getOffers(0);
      return "reason=%s required=%d available=%d shortfall=%d offer=%dx%s price=%s%s"
          .formatted(
              refusal.getReason(),
              missing.getRequired(),
              missing.getAvailable(),
              missing.getShortfall(),
              offer.getQuantity(),
              offer.getPack().getPackId(),
              offer.getPrice().getAmount(),
              offer.getPrice().getCurrency());
    }
    throw new IllegalStateException("the account has 100 credits");
  }

  /** Sends a request again, and then another one under its id. */
  private String replay() {
    ChargeRequest request = charge(1).build();
    ChargeResponse first = billing.charge(request);
    ChargeResponse again = billing.charge(request);
    ChargeRequest other = request.toBuilder().setCredits(2).build();
    return "credits=%d replayed=%b same_entry=%b other=%s"
        .formatted(
            again.getCredits(),
            again.hasReplay(),
            again.getEntrySeq() == first.getEntrySeq(),
            reasonOf(() -> billing.charge(other)));
  }

  /** Charges once, though an answer is lost. */
  private String unknownOutcome() throws InterruptedException {
    Duration timeout = Duration.ofSeconds(30);
    balance(); // Any answer tells the time of the service.
    ChargeRequest request =
        charge(2).setReference("unknown-outcome").setNotAfter(clock.notAfter(timeout)).build();
    ChargeResponse charge =
        Mutations.untilKnown(billing, BillingServiceBlockingStub::charge, request, timeout);

    // A request that arrives after its not_after has no effect.
    ChargeRequest delayed = charge(2).setNotAfter(clock.notAfter(Duration.ofMinutes(-2))).build();
    return "credits=%d replayed=%b delayed=%s"
        .formatted(
            charge.getCredits(), charge.hasReplay(), reasonOf(() -> billing.charge(delayed)));
  }

  /** Lets a reservation expire. Its job can still be charged within the grace period of the plan. */
  private String expiry() throws InterruptedException {
    Reservation reservation = reserveCredits(2, Duration.ofMillis(100));
    String id = reservation.getReservationId();
    while (reservation.getState() == Reservation.State.STATE_ACTIVE) {
      Thread.sleep(50);
      reservation =
          billing
              .getReservation(
                  GetReservationRequest.newBuilder()
                      .setAccountId(accountId)
                      .setReservationId(id)
                      .build())
              .getReservation();
    }
    ExtendReservationRequest extension =
        ExtendReservationRequest.newBuilder()
            .setAccountId(accountId)
            .setRequestId(newId())
            .setReservationId(id)
            .setTtl(Durations.fromMinutes(1))
            .build();
    String refused = reasonOf(() -> billing.extendReservation(extension));
    Reservation late = commit(reservation, 2, true);
    return "state=%s extend=%s committed=%d late=%b"
        .formatted(reservation.getState(), refused, late.getCommitted(), late.getLate());
  }

  /** Follows the entries, through a connection that breaks, up to its own charge. */
  private String history() {
    long newest = balance().getSeq();
    ChargeRequest charge = charge(1).setReference("history").build();
    try (History entries = new History(billing, accountId, 0)) {
      for (long seq = 1; ; seq++) {
        Entry entry = entries.next();
        if (entry.getSeq() != seq) {
          throw new IllegalStateException("entry %d in place of %d".formatted(entry.getSeq(), seq));
        }
        if (seq == newest) billing.charge(charge);
        if (entry.getRequestId().equals(charge.getRequestId())) {
          return "kind=%s reference=%s".formatted(entry.getKind(), entry.getReference());
        }
      }
    }
  }

  /** Calls as the one whom the certificate names. */
  private String mutualTls() throws IOException {
    if (settings.certFile() == null) throw new IOException("SCRIP_CERT_FILE is not set");
    return callerOf(settings.withoutToken());
  }

  /** Calls as the one whom the token names. */
  private String jwt() throws IOException {
    if (settings.tokenFile() == null) throw new IOException("SCRIP_TOKEN_FILE is not set");
    return callerOf(settings.withoutCertificate());
  }

  /** Makes a charge, and tells who made it by its entry. */
  private String callerOf(Settings caller) throws IOException {
    ManagedChannel channel = Connection.open(caller, clock);
    BillingServiceBlockingStub own = BillingServiceGrpc.newBlockingStub(channel);
    long seq = own.charge(charge(1).build()).getEntrySeq();
    try (History entries = new History(own, accountId, seq - 1)) {
      return "caller=" + entries.next().getCaller();
    } finally {
      channel.shutdownNow();
    }
  }

  private static String newId() {
    return UUID.randomUUID().toString();
  }

  /** The usages of an extraction from a document. */
  private static Usages pages(long count) {
    return Usages.newBuilder()
        .addItems(
            Usage.newBuilder()
                .setOperation("extraction.result_per_file")
                .putQuantities("pages", count))
        .build();
  }

  private ChargeRequest.Builder charge(long credits) {
    return ChargeRequest.newBuilder()
        .setAccountId(accountId)
        .setRequestId(newId())
        .setCredits(credits);
  }

  private Reservation reserveCredits(long credits, Duration ttl) {
    return billing
        .reserve(
            ReserveRequest.newBuilder()
                .setAccountId(accountId)
                .setRequestId(newId())
                .setCredits(credits)
                .setTtl(Durations.fromMillis(ttl.toMillis()))
                .build())
        .getReservation();
  }

  private Reservation commit(Reservation reservation, long credits, boolean isFinal) {
    return billing
        .commit(
            CommitRequest.newBuilder()
                .setAccountId(accountId)
                .setRequestId(newId())
                .setReservationId(reservation.getReservationId())
                .setCredits(credits)
                .setFinal(isFinal)
                .build())
        .getReservation();
  }

  private Balance balance() {
    return billing
        .getBalance(GetBalanceRequest.newBuilder().setAccountId(accountId).build())
        .getBalance();
  }

  /** Why the service refuses a call. */
  private static String reasonOf(Runnable call) {
    try {
      call.run();
      return "none";
    } catch (StatusRuntimeException error) {
      return Refusal.of(error).map(ErrorInfo::getReason).orElse(error.getMessage());
    }
  }
}
