package example.scrip;

import com.google.gson.Gson;
import io.grpc.ChannelCredentials;
import io.grpc.CompositeChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Opens a channel. */
final class Connection {
  /** A stream has no deadline, and is resumed by History. */
  private static final String SERVICE_CONFIG =
      """
      {
        "loadBalancingConfig": [{ "round_robin": {} }],
        "methodConfig": [
          {
            "name": [{}],
            "timeout": "10s",
            "retryPolicy": {
              "maxAttempts": 5,
              "initialBackoff": "0.1s",
              "maxBackoff": "2s",
              "backoffMultiplier": 2,
              "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
            }
          },
          {
            "name": [
              { "service": "billing.v1.BillingService", "method": "StreamHistory" },
              { "service": "billing.v1.EventService", "method": "StreamEvents" }
            ]
          }
        ],
        "retryThrottling": { "maxTokens": 100, "tokenRatio": 0.1 }
      }
      """;

  private Connection() {}

  /** It connects with the first call, and shows the clock the service's time. */
  @SuppressWarnings("unchecked")
  static ManagedChannel open(Settings settings, ServiceClock clock) throws IOException {
    if (settings.address() == null) throw new IOException("SCRIP_ADDRESS is not set");
    return Grpc.newChannelBuilder(settings.address(), credentials(settings))
        .defaultServiceConfig(new Gson().fromJson(SERVICE_CONFIG, Map.class))
        .keepAliveTime(10, TimeUnit.SECONDS)
        .keepAliveTimeout(5, TimeUnit.SECONDS)
        .intercept(clock)
        .build();
  }

  private static ChannelCredentials credentials(Settings settings) throws IOException {
    String caFile = settings.caFile();
    String certFile = settings.certFile();
    String keyFile = settings.keyFile();
    String tokenFile = settings.tokenFile();
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
}
