import type { Readable, Writable } from 'node:stream';

/** How a channel came to its end. */
export interface ChannelEnd {
  /** The exit status; `undefined` when the program died by a signal or the transport went away. */
  readonly code?: number;
  /** e.g. `SIGKILL`. */
  readonly signal?: string;
  /** Why there is no status at all: the network, a refused request. */
  readonly lost?: Error;
}

/** A running program on a host: three byte streams and an end. What every transport offers, and all that shells and scripts need. */
export interface Channel {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Empty where a terminal was asked for: a terminal has one output. */
  readonly stderr: Readable;
  /** Resolves when the program is over and both outputs were read to their end; never rejects. */
  readonly ended: Promise<ChannelEnd>;
  /** Gives the channel up without waiting; the program may live on until it next writes. */
  close(): void;
}

/** Something that starts programs on one host. */
export interface ChannelOpener {
  /** The inventory name, for errors. */
  readonly host: string;
  /** Who programs run as when nobody becomes somebody else. */
  readonly loginUser: string;
  /**
   * Starts a command line under the login user's shell. Resolves as soon as stdin can be written, which may be before the
   * program runs (a transport that can saves that round trip).
   * @throws FleetError `CHANNEL_REFUSED` or `CONNECTION_LOST`.
   */
  open(command: string, options?: { readonly pty?: boolean }): Promise<Channel>;
}
