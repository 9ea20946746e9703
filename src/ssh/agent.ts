import ssh2, { type ParsedKey } from 'ssh2';

/** The keys that an agent holds, as far as ssh2 can use them; `undefined` when no agent answers at this socket. */
export function agentIdentities(socket: string): Promise<readonly ParsedKey[] | undefined> {
  return new Promise((resolve) => {
    const agent = new ssh2.OpenSSHAgent(socket);
    agent.getIdentities((error, identities) => {
      if (error || !Array.isArray(identities)) {
        resolve(undefined);
        return;
      }
      // ssh2 hands over raw blobs, parsed keys or `{ pubKey }`, and leaves out what it cannot use (certificates, FIDO keys).
      const keys = (identities as readonly (Buffer | ParsedKey | { readonly pubKey: Buffer })[]).map(
        (identity) =>
          ssh2.utils.parseKey(
            typeof identity === 'object' && 'pubKey' in identity ? identity.pubKey : (identity as Buffer),
          ),
      );
      resolve(keys.filter((key): key is ParsedKey => !(key instanceof Error)));
    });
  });
}

/** An agent that offers just the given keys: sshd counts every offer against MaxAuthTries (6 by default). */
export function narrowedAgent(socket: string, keys: readonly ParsedKey[]): ssh2.BaseAgent {
  return new NarrowedAgent(socket, keys);
}

class NarrowedAgent extends ssh2.OpenSSHAgent {
  readonly #keys: readonly ParsedKey[];

  constructor(socket: string, keys: readonly ParsedKey[]) {
    super(socket);
    this.#keys = keys;
  }

  override getIdentities(callback: (error: Error | undefined, keys?: ParsedKey[]) => void): void {
    callback(undefined, [...this.#keys]);
  }
}
