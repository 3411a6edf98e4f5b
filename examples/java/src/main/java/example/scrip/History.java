package example.scrip;

import io.grpc.Context;
import io.grpc.Context.CancellableContext;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.Collections;
import java.util.Iterator;
import scrip.billing.v1.BillingServiceGrpc.BillingServiceBlockingStub;
import scrip.billing.v1.Entry;
import scrip.billing.v1.StreamHistoryRequest;
import scrip.billing.v1.StreamHistoryResponse;

/**
 * Follows the entries of an account, each once and in order. Where a stream breaks, the next one
 * resumes after the last message, on any replica. Close it to end it.
 */
final class History implements Iterator<Entry>, AutoCloseable {
  private final BillingServiceBlockingStub billing;
  private final StreamHistoryRequest.Builder request;
  private CancellableContext stream;
  private Iterator<StreamHistoryResponse> pages;
  private Iterator<Entry> entries = Collections.emptyIterator();

  History(BillingServiceBlockingStub billing, String accountId, long afterSeq) {
    this.billing = billing;
    request =
        StreamHistoryRequest.newBuilder()
            .setAccountId(accountId)
            .setAfterSeq(afterSeq)
            .setFollow(true);
    open();
  }

  /** It waits for an entry, so there always is one. */
  @Override
  public boolean hasNext() {
    return true;
  }

  @Override
  public Entry next() {
    while (!entries.hasNext()) {
      try {
        StreamHistoryResponse page = pages.next();
        request.setAfterSeq(page.getNextAfterSeq());
        entries = page.getEntriesList().iterator();
      } catch (StatusRuntimeException error) {
        if (error.getStatus().getCode() != Status.Code.UNAVAILABLE) throw error;
        reopen();
      }
    }
    return entries.next();
  }

  @Override
  public void close() {
    stream.cancel(null);
  }

  private void open() {
    stream = Context.current().withCancellation();
    stream.run(() -> pages = billing.streamHistory(request.build()));
  }

  private void reopen() {
    close();
    try {
      Thread.sleep(200);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw Status.CANCELLED.withCause(interrupted).asRuntimeException();
    }
    open();
  }
}
