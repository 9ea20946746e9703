/** A taint of a Node. */
export interface Taint {
  readonly key: string;
  readonly value: string;
  readonly effect: string;
}

/** The labels and taints that somebody wants on a node. */
export interface NodeMarks {
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
}

const part = '[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?';
const domain = '[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?';
const keyForm = `(?:${domain}/)?${part}`;
const labelForm = new RegExp(`^(${keyForm})=(${part}|)$`);
const taintForm = new RegExp(`^(${keyForm})(?:=(${part}|))?:(NoSchedule|PreferNoSchedule|NoExecute)$`);

/**
 * `disk=ssd`; `undefined` for what is no label.
 * @see https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
 */
export function parseLabel(text: string): readonly [key: string, value: string] | undefined {
  const match = labelForm.exec(text.trim());
  return match?.[1] === undefined ? undefined : [match[1], match[2] ?? ''];
}

/** `dedicated=db:NoSchedule` or `dedicated:NoExecute`; `undefined` for what is no taint. */
export function parseTaint(text: string): Taint | undefined {
  const match = taintForm.exec(text.trim());
  return match?.[1] === undefined
    ? undefined
    : { key: match[1], value: match[2] ?? '', effect: match[3] ?? '' };
}

/** As `kubectl taint` takes it. */
export function taintText({ key, value, effect }: Taint): string {
  return `${key}${value === '' ? '' : `=${value}`}:${effect}`;
}

/** What tells one taint of a node from another: a second one of the same key and effect would replace the first. */
export function taintIdentity({ key, effect }: Taint): string {
  return `${key}:${effect}`;
}
