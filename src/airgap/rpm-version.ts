/** The version of an RPM package. */
export interface RpmVersion {
  readonly epoch: number;
  readonly version: string;
  /** Empty where a requirement leaves it open. */
  readonly release: string;
}

/** Negative when `a` is older, positive when it is newer; a release that one of them leaves open is not compared. */
export function compareRpmVersions(a: RpmVersion, b: RpmVersion): number {
  const versions = a.epoch - b.epoch || comparePart(a.version, b.version);
  if (versions !== 0 || a.release === '' || b.release === '') return versions;
  return comparePart(a.release, b.release);
}

/**
 * Piece by piece: numbers by their value, letters by their code, numbers above letters; `~` below everything, the end
 * included, and `^` just above the end.
 * @see https://rpm-software-management.github.io/rpm/manual/spec.html#versioning
 */
function comparePart(a: string, b: string): number {
  const [mine, other] = [pieces(a), pieces(b)];
  for (let index = 0; ; index += 1) {
    const [x, y] = [mine[index], other[index]];
    if (x === undefined && y === undefined) return 0;
    const order = rank(x) - rank(y);
    if (order !== 0) return order;
    if (x === undefined || y === undefined) return 0;
    const same = /^\d/.test(x) ? compareNumbers(x, y) : x < y ? -1 : x > y ? 1 : 0;
    if (same !== 0) return same;
  }
}

function pieces(text: string): readonly string[] {
  return text.match(/\d+|[a-zA-Z]+|~|\^/g) ?? [];
}

function rank(piece: string | undefined): number {
  if (piece === undefined) return 1;
  if (piece === '~') return 0;
  if (piece === '^') return 2;
  return /^\d/.test(piece) ? 4 : 3;
}

function compareNumbers(a: string, b: string): number {
  const [x, y] = [BigInt(a), BigInt(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}
