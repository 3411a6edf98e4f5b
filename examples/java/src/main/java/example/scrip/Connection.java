package example.scrip;

import io.grpc.ChannelCredentials;
import io.grpc.CompositeChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.nio.file.Path;

/** Opens a channel as the SCRIP_ variables of the environment say. */
final class Connection {
  private Connection() {}

  static ManagedChannel open() throws IOException {
    String address = variable("SCRIP_ADDRESS");
    if (address == null) throw new IOException("SCRIP_ADDRESS is not set");
    return Grpc.newChannelBuilder(address, credentials()).build();
  }

  private static ChannelCredentials credentials() throws IOException {
    String caFile = variable("SCRIP_CA_FILE");
    String certFile = variable("SCRIP_CERT_FILE");
    String keyFile = variable("SCRIP_KEY_FILE");
    String tokenFile = variable("SCRIP_TOKEN_FILE");
    if ((certFile == null) != (keyFile == null)) {
      throw new IOException("SCRIP_CERT_FILE and SCRIP_KEY_FILE are needed together");
    }
    if (caFile == null) {
      if (certFile == null && tokenFile == null) return InsecureChannelCredentials.create();
      throw new IOException("a certificate or token needs SCRIP_CA_FILE");
    }
    TlsChannelCredentials.Builder tls =
        TlsChannelCredentials.newBuilder().trustManager(new File(caFile));
    if (certFile != null) tls.keyManager(new File(certFile), new File(keyFile));
    return tokenFile == null
        ? tls.build()
        : CompositeChannelCredentials.create(tls.build(), new TokenInFile(Path.of(tokenFile)));
  }

  /** Null if it is not set, or empty. */
  private static String variable(String name) {
    String value = System.getenv(name);
    return value == null || value.isEmpty() ? null : value;
  }
}
