// Proofs of identity for Belfry in Java 17, with nothing but the JDK.
//
//   BELFRY_PUBLIC_KEY=pk_… BELFRY_IDENTITY_SECRET=isk_… java Sign.java FORM ARGUMENTS
//
//   plain ID            v2-subscriber ID SECONDS
//   base64 ID           v2-traits ID SECONDS NAME=VALUE …
//   dotted ID SECONDS   v2-company ID COMPANY SECONDS
//
// SECONDS is Unix time: Instant.now().getEpochSecond().

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public final class Sign {
  private static final String PUBLIC_KEY = System.getenv().getOrDefault("BELFRY_PUBLIC_KEY", "");
  private static final String SECRET = System.getenv().getOrDefault("BELFRY_IDENTITY_SECRET", "");

  /** An id with a line feed in it could say more than an id. Java hashes half a character as "?": two ids, one hash. */
  static String checked(String id) {
    boolean strange = id.codePoints().anyMatch(c -> Character.isISOControl(c) || Character.getType(c) == Character.SURROGATE);
    if (id.isEmpty() || utf8(id).length > 255 || strange) throw new IllegalArgumentException("not an id");
    return id;
  }

  static byte[] mac(String... lines) throws GeneralSecurityException {
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(utf8(SECRET), "HmacSHA256"));
    return mac.doFinal(utf8(String.join("\n", lines)));
  }

  /**
   * Canonical JSON (RFC 8785) of flat traits of text. A TreeMap of strings sorts by UTF-16 code units, as the RFC asks. Numbers have rules
   * of their own in the RFC; send them as text.
   */
  static String canonical(SortedMap<String, String> traits) {
    return traits.entrySet().stream().map(Sign::member).collect(Collectors.joining(",", "{", "}"));
  }

  private static String member(Map.Entry<String, String> entry) {
    return quote(entry.getKey()) + ":" + quote(entry.getValue());
  }

  private static String quote(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      int at = "\"\\\b\t\n\f\r".indexOf(c);
      if (at >= 0) out.append('\\').append("\"\\btnfr".charAt(at));
      else if (c < 0x20) out.append(String.format("\\u%04x", (int) c));
      else out.append(c);
    }
    return out.append('"').toString();
  }

  static String digest(SortedMap<String, String> traits) throws GeneralSecurityException {
    return hex(MessageDigest.getInstance("SHA-256").digest(utf8(canonical(traits))));
  }

  static String plain(String id) throws GeneralSecurityException {
    return hex(mac(checked(id)));
  }

  static String plainBase64(String id) throws GeneralSecurityException {
    return Base64.getEncoder().encodeToString(mac(checked(id)));
  }

  static String dotted(String id, String seconds) throws GeneralSecurityException {
    return hex(mac(checked(id) + "." + seconds));
  }

  static String v2Subscriber(String id, String seconds) throws GeneralSecurityException {
    return hex(mac("v2:subscriber", PUBLIC_KEY, seconds, checked(id)));
  }

  static String v2Traits(String id, String seconds, SortedMap<String, String> traits) throws GeneralSecurityException {
    return hex(mac("v2:subscriber", PUBLIC_KEY, seconds, checked(id), digest(traits)));
  }

  static String v2Company(String id, String company, String seconds) throws GeneralSecurityException {
    return hex(mac("v2:company", PUBLIC_KEY, seconds, checked(id), checked(company)));
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static String hex(byte[] bytes) {
    return HexFormat.of().formatHex(bytes);
  }

  public static void main(String[] args) throws GeneralSecurityException {
    if (SECRET.length() < 32) throw new IllegalStateException("BELFRY_IDENTITY_SECRET is not set, or too short");
    System.out.println(
        switch (args[0]) {
          case "plain" -> plain(args[1]);
          case "base64" -> plainBase64(args[1]);
          case "dotted" -> dotted(args[1], args[2]);
          case "v2-subscriber" -> v2Subscriber(args[1], args[2]);
          case "v2-traits" -> {
            SortedMap<String, String> traits = new TreeMap<>();
            for (int i = 3; i < args.length; i += 1) {
              String[] pair = args[i].split("=", 2);
              traits.put(pair[0], pair[1]);
            }
            yield v2Traits(args[1], args[2], traits);
          }
          case "v2-company" -> v2Company(args[1], args[2], args[3]);
          default -> throw new IllegalArgumentException("unknown form");
        });
  }
}
