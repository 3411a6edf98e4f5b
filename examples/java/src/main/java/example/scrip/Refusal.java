package example.scrip;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.Optional;

/** Why the service refused a call. */
final class Refusal {
  private Refusal() {}

  /**
   * The reason and its values. It is empty for an error that does not come from the service, such as
   * a connection that could not be opened.
   */
  static Optional<ErrorInfo> of(StatusRuntimeException error) throws InvalidProtocolBufferException {
    for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
      if (!detail.is(ErrorInfo.class)) continue;
      ErrorInfo info = detail.unpack(ErrorInfo.class);
      if (info.getDomain().equals("billing.scrip")) return Optional.of(info);
    }
    return Optional.empty();
  }
}
