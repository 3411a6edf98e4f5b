package example.scrip;

/**
 * Where the service is, and who calls. Null: not set.
 *
 * @param caFile the CA of the service; without it, plain text
 * @param certFile a certificate that names the caller
 * @param keyFile its key
 * @param tokenFile a bearer token that names the caller
 */
record Settings(String address, String caFile, String certFile, String keyFile, String tokenFile) {
  /** As the SCRIP_ variables of the environment say. */
  static Settings fromEnvironment() {
    return new Settings(
        variable("SCRIP_ADDRESS"),
        variable("SCRIP_CA_FILE"),
        variable("SCRIP_CERT_FILE"),
        variable("SCRIP_KEY_FILE"),
        variable("SCRIP_TOKEN_FILE"));
  }

  Settings withoutCertificate() {
    return new Settings(address, caFile, null, null, tokenFile);
  }

  Settings withoutToken() {
    return new Settings(address, caFile, certFile, keyFile, null);
  }

  private static String variable(String name) {
    String value = System.getenv(name);
    return value == null || value.isEmpty() ? null : value;
  }
}
