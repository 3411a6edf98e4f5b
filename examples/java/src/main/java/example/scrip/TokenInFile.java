package example.scrip;

import io.grpc.CallCredentials;
import io.grpc.Metadata;
import io.grpc.Status;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Executor;

/** A bearer token. The file is read for each call: Kubernetes renews it. */
final class TokenInFile extends CallCredentials {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final Path file;

  TokenInFile(Path file) {
    this.file = file;
  }

  @Override
  public void applyRequestMetadata(RequestInfo call, Executor executor, MetadataApplier applier) {
    executor.execute(
        () -> {
          try {
            Metadata metadata = new Metadata();
            metadata.put(AUTHORIZATION, "Bearer " + Files.readString(file).strip());
            applier.apply(metadata);
          } catch (IOException error) {
            applier.fail(Status.UNAUTHENTICATED.withDescription("no token").withCause(error));
          }
        });
  }
}
