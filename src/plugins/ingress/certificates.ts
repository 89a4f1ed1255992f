/**
 * The certificates of one address: read from the host's folder, read again every few seconds, and chosen by the name
 * that a client asks for (SNI, RFC 6066). A connection keeps the certificate that it began with. While files can't be
 * used, the last good ones stay in use.
 */
import { createSecureContext, type SecureContext } from 'node:tls';
import type { HttpOptions } from '../../graph/link.js';
import { type LinkError, XConnectError } from '../../kernel/errors.js';
import type { LinkHost } from '../plugin.js';

const LOOK_MS = 2_000;

type Files = NonNullable<HttpOptions['tls']>;

/** The certificate and key of one link. */
export class Certificate {
  /** The link's host, as in RouteTable. */
  readonly hostName: string;
  context: SecureContext | null = null;
  /** What the context was made of. */
  pem: { readonly cert: Buffer; readonly key: Buffer } | null = null;
  readonly #host: LinkHost;
  readonly #files: Files;
  #timer: NodeJS.Timeout | null = null;
  #complaint = '';
  #over = false;

  constructor(host: LinkHost, hostName: string, files: Files) {
    this.#host = host;
    this.hostName = hostName;
    this.#files = files;
  }

  /** Rejects with an XConnectError where the files can't be used. */
  async load(): Promise<void> {
    const error = await this.#read();
    if (error) throw new XConnectError(error.code, error.message);
    this.#lookLater();
  }

  stop(): void {
    this.#over = true;
    if (this.#timer) clearTimeout(this.#timer);
  }

  #lookLater(): void {
    if (this.#over) return;
    this.#timer = setTimeout(async () => {
      const error = await this.#read();
      if (error && error.message !== this.#complaint) this.#host.log.warn(error, error.message);
      this.#complaint = error?.message ?? '';
      this.#lookLater();
    }, LOOK_MS);
    this.#timer.unref();
  }

  async #read(): Promise<LinkError | null> {
    const [certRead, keyRead] = [
      await this.#host.readCertificate(this.#files.cert),
      await this.#host.readCertificate(this.#files.key),
    ];
    if (!certRead.ok) return certRead.error;
    if (!keyRead.ok) return keyRead.error;
    const [cert, key] = [certRead.value, keyRead.value];
    if (this.pem?.cert.equals(cert) && this.pem.key.equals(key)) return null;
    try {
      this.context = createSecureContext({ cert, key });
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      const { cert: name, key: keyName } = this.#files;
      const message = `${name} and ${keyName} are no certificate and its key in PEM: ${why}.`;
      return { code: 'certificate-invalid', message };
    }
    if (this.pem) this.#host.log.info({ certificate: this.#files.cert }, 'certificate read again');
    this.pem = { cert, key };
    return null;
  }
}

/** The certificates of all links of an address. */
export class Certificates {
  readonly #all = new Set<Certificate>();

  add(certificate: Certificate): void {
    this.#all.add(certificate);
  }

  remove(certificate: Certificate): void {
    certificate.stop();
    this.#all.delete(certificate);
  }

  /** The certificate for the name that a client asks for (empty: for none); if there is none, the first one. */
  find(name: string): Certificate | null {
    const wanted = name.toLowerCase();
    const below = `*${wanted.slice(wanted.indexOf('.'))}`;
    const all = [...this.#all];
    const found =
      all.find(({ hostName }) => hostName === wanted) ??
      all.find(({ hostName }) => hostName === below) ??
      all.find(({ hostName }) => hostName === '') ??
      all[0];
    return found ?? null;
  }
}
