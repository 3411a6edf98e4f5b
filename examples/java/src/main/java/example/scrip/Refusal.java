package example.scrip;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.ErrorInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.Optional;
import scrip.billing.v1.InsufficientCredits;

/** Why a call failed. */
final class Refusal {
  private Refusal() {}

  /**
   * The reason and its values. It is empty for an error that does not come from the service, such as
   * a connection that could not be opened.
   */
  static Optional<ErrorInfo> of(StatusRuntimeException error) {
    return detail(error, ErrorInfo.class)
        .filter(info -> info.getDomain().equals("billing.scrip"));
  }

  /**
   * How many credits a refused call lacked, and the packs that would cover them, best first. It is
   * empty for other errors.
   */
  static Optional<InsufficientCredits> missingCredits(StatusRuntimeException error) {
    return detail(error, InsufficientCredits.class);
  }

  /**
   * Whether a failed mutation may have had an effect. The same request, under the same id, finds
   * out.
   */
  static boolean isOutcomeUnknown(StatusRuntimeException error) {
    Status.Code code = error.getStatus().getCode();
    return code == Status.Code.DEADLINE_EXCEEDED || code == Status.Code.UNAVAILABLE;
  }

  private static <T extends Message> Optional<T> detail(
      StatusRuntimeException error, Class<T> type) {
    for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
      if (!detail.is(type)) continue;
      try {
        return Optional.of(detail.unpack(type));
      } catch (InvalidProtocolBufferException invalid) {
        throw new IllegalStateException(invalid);
      }
    }
    return Optional.empty();
  }
}
