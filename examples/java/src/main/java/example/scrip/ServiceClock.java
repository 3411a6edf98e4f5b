package example.scrip;

import com.google.protobuf.Timestamp;
import com.google.protobuf.util.Timestamps;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ForwardingClientCallListener.SimpleForwardingClientCallListener;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.time.Duration;

/**
 * The clock of the service: it reads the trailer scrip-time of every answer. Until the first one it
 * is the clock of this machine.
 */
final class ServiceClock implements ClientInterceptor {
  private static final Metadata.Key<String> TIME =
      Metadata.Key.of("scrip-time", Metadata.ASCII_STRING_MARSHALLER);

  private volatile long aheadMillis;

  /** Milliseconds since 1970. */
  long millis() {
    return System.currentTimeMillis() + aheadMillis;
  }

  /**
   * The not_after of a mutation that is repeated for so long: what arrives later than a minute after
   * that has no effect.
   */
  Timestamp notAfter(Duration timeout) {
    return Timestamps.fromMillis(millis() + timeout.plusMinutes(1).toMillis());
  }

  @Override
  public <Q, R> ClientCall<Q, R> interceptCall(
      MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
    return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
      @Override
      public void start(Listener<R> listener, Metadata headers) {
        super.start(
            new SimpleForwardingClientCallListener<>(listener) {
              @Override
              public void onClose(Status status, Metadata trailers) {
                String time = trailers.get(TIME);
                if (time != null) aheadMillis = Long.parseLong(time) - System.currentTimeMillis();
                super.onClose(status, trailers);
              }
            },
            headers);
      }
    };
  }
}
