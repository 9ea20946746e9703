import { distance } from 'fastest-levenshtein';

/** The known name that a person most likely meant, or `undefined` when nothing is near enough to be a help. */
export function nearest(wrong: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  const lower = wrong.toLowerCase();
  for (const name of known) {
    const candidate = distance(lower, name.toLowerCase());
    if (candidate < bestDistance) {
      best = name;
      bestDistance = candidate;
    }
  }
  // Two letters of three are a coincidence, two of four may be a slip: neighbours that changed places count as two.
  const allowed = Math.ceil(wrong.length / 3);
  return best !== undefined && bestDistance <= allowed ? best : undefined;
}

/** `Did you mean 'x'?`, or the fallback where nothing is near. */
export function meant(wrong: string, known: Iterable<string>, otherwise: string): string {
  const name = nearest(wrong, known);
  return name === undefined ? otherwise : `Did you mean '${name}'?`;
}
