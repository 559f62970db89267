import { isIP, type LookupFunction } from 'node:net';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { isPublicAddress, publicLookup } from './public-address.js';
import { PushTransportError } from './push-transport.errors.js';

export interface TlsConnectorOptions {
  /** Certificates in PEM that are trusted instead of the well-known ones. */
  readonly ca?: string;
  readonly lookup?: LookupFunction;
  /** Origins that may have private addresses. */
  readonly privateOrigins: ReadonlySet<string>;
  readonly connectTimeoutMs: number;
}

/** Opens TLS connections to origins, to public addresses only unless the origin was listed as private. */
export class TlsConnector {
  /** Shared by all connections: reading the trusted certificates costs milliseconds. */
  readonly #secureContext: SecureContext;
  readonly #publicLookup: LookupFunction;

  constructor(private readonly options: TlsConnectorOptions) {
    this.#secureContext = createSecureContext({ ca: options.ca });
    this.#publicLookup = publicLookup(options.lookup);
  }

  /**
   * Begins to connect. The socket fails with `connect_timeout` when TCP and TLS together take too long; its errors never go unhandled.
   *
   * @param protocols what to offer by ALPN (RFC 7301), the preferred first
   * @throws PushTransportError `address_forbidden` when the host is an IP literal that is not public
   */
  open(origin: string, protocols: readonly ('h2' | 'http/1.1')[]): TLSSocket {
    const { hostname, port } = new URL(origin);
    const host = hostname.replace(/^\[|\]$/g, '');
    const isPrivate = this.options.privateOrigins.has(origin);
    if (isIP(host) !== 0 && !isPrivate && !isPublicAddress(host)) throw new PushTransportError('address_forbidden');
    const socket = connect({
      host,
      port: port === '' ? 443 : Number(port),
      servername: isIP(host) === 0 ? host : undefined,
      ALPNProtocols: [...protocols],
      secureContext: this.#secureContext,
      lookup: isPrivate ? this.options.lookup : this.#publicLookup,
    });
    socket.setNoDelay(true);
    const { connectTimeoutMs } = this.options;
    const timer = setTimeout(() => socket.destroy(new PushTransportError('connect_timeout')), connectTimeoutMs);
    socket.once('secureConnect', () => clearTimeout(timer));
    socket.once('close', () => clearTimeout(timer));
    // Whoever uses the socket has listeners of its own; between two users there would be none.
    socket.on('error', ignore);
    return socket;
  }
}

function ignore(): void {}
