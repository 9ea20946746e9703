import { createHash, type X509Certificate } from 'node:crypto';

/**
 * The authorities that sign a cluster's certificates, by their files below `server/tls`: `NAME.crt` and `NAME.key`.
 * @see https://docs.k3s.io/cli/certificate#using-custom-ca-certificates
 */
export const authorityNames = [
  'server-ca',
  'client-ca',
  'request-header-ca',
  'etcd/peer-ca',
  'etcd/server-ca',
] as const;

export type AuthorityName = (typeof authorityNames)[number];

/** The certificates of a file, in order: the authority that signs, then those above it. */
export type Bundle = readonly X509Certificate[];

const pemCertificate = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** The certificates in PEM text, each on its own. */
export function certificateTexts(pem: string): readonly string[] {
  return pem.match(pemCertificate) ?? [];
}

/** It signed itself: the end of every way up. */
export function isRoot(certificate: X509Certificate): boolean {
  return isIssuedBy(certificate, certificate);
}

function isIssuedBy(certificate: X509Certificate, by: X509Certificate): boolean {
  return certificate.checkIssued(by) && certificate.verify(by.publicKey);
}

/**
 * The nearest of the roots that a bundle's first certificate leads to, by way of the bundle and of what is trusted already.
 * k3s asks the same of new authorities before it takes them.
 */
export function rootReached(bundle: Bundle, trusted: Bundle): X509Certificate | undefined {
  const roots = new Set(trusted.filter(isRoot).map(({ fingerprint256 }) => fingerprint256));
  const above = [...bundle.slice(1), ...trusted];
  const seen = new Set<string>();
  const waiting = bundle.slice(0, 1);
  for (const certificate of waiting) {
    if (roots.has(certificate.fingerprint256)) return certificate;
    if (seen.has(certificate.fingerprint256)) continue;
    seen.add(certificate.fingerprint256);
    waiting.push(...above.filter((other) => other !== certificate && isIssuedBy(certificate, other)));
  }
  return undefined;
}

/** What a full token says of a cluster whose server authority is a bundle: the sha256 of its root's DER form, in hex. */
export function tokenHashOf(root: X509Certificate): string {
  return createHash('sha256').update(root.raw).digest('hex');
}
