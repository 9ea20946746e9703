import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where downloads and sums of large files are kept between runs: `$FLEET_CACHE`, else `$XDG_CACHE_HOME/fleet`, else `~/.cache/fleet`. */
export function cacheFolder(): string {
  return process.env.FLEET_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'fleet');
}
