import { isMap, isScalar, type Node, Scalar } from 'yaml';
import { offsetOf, readYaml, YamlValues } from '../jinja/yaml-read.ts';
import type { Findings } from './findings.ts';
import type { SourceText } from './source-text.ts';
import type { Vault } from './vault.ts';
import { isVaultText } from './vault.ts';
import { VaultText } from './vault-text.ts';
import { UnsafeText } from './written-value.ts';

/** A YAML file of an inventory: its root node and the way to values. */
export interface YamlFile {
  readonly root: Node | null;
  readonly values: YamlValues;
  /** Hands what was found while values were made to the findings. Call it when done. */
  finish(): void;
}

/** Reads YAML with Ansible's tags. Syntax errors become findings, and then there is no file. */
export function readYamlFile(source: SourceText, vault: Vault, findings: Findings): YamlFile | undefined {
  const reading = readYaml(source.text);
  const serious = reading.findings.length > 0;
  for (const finding of reading.findings) {
    const several = finding.kind === 'documents';
    findings.error({
      code: several ? 'YAML_SEVERAL_DOCUMENTS' : 'YAML_SYNTAX',
      message: several ? 'the file holds more than one YAML document' : `not YAML: ${finding.message}`,
      fix: several
        ? 'Remove the second "---", or split the file.'
        : yamlFix(finding.message, source, finding.offset),
      where: source.place(finding.offset),
    });
  }
  if (serious) return undefined;
  const values = new YamlValues(reading.root, (tag, node) => tagged(tag, node, source, vault));
  warnOfEmptyBlocks(reading.root, source, findings);
  return {
    root: reading.root,
    values,
    finish: () => {
      for (const finding of values.findings) {
        const fault = {
          code: finding.kind === 'duplicate' ? 'YAML_DUPLICATE_KEY' : 'YAML_VALUE',
          message: finding.message,
          where: source.place(finding.offset),
        };
        if (finding.kind === 'duplicate') findings.warn({ ...fault, fix: 'Remove one of the two.' });
        else if (finding.kind === 'key')
          findings.error({ ...fault, fix: 'Put quotes around a value that starts with "{{" or "{".' });
        else findings.error({ ...fault, fix: 'Correct the value, or put quotes around it.' });
      }
    },
  };
}

function yamlFix(message: string, source: SourceText, offset: number): string {
  const line = source.text.slice(source.text.lastIndexOf('\n', offset - 1) + 1).split('\n')[0] ?? '';
  if (/^\s*\{%|^\s*%\{/m.test(source.text)) {
    return 'The file looks like a template of an inventory: render it first, or put templates into values only.';
  }
  if (/:\s*\{\{/.test(line)) return 'Put quotes around a value that starts with "{{".';
  if (/\t/.test(line)) return 'Indent with spaces: YAML does not allow tabs.';
  return /indent/i.test(message)
    ? 'Check the indentation of this line and the one above.'
    : 'Correct the line.';
}

function tagged(tag: string, node: Scalar, source: SourceText, vault: Vault): unknown {
  const text = typeof node.value === 'string' ? node.value : '';
  if (tag === '!unsafe') return new UnsafeText(text);
  if (tag === '!vault' || tag === '!vault-encrypted') {
    const where = source.place(offsetOf(node));
    return isVaultText(text.trimStart()) ? new VaultText(text, vault, where) : undefined;
  }
  return undefined;
}

/** `key: |` with nothing deeper below it is an empty text, and what follows at the same indent are keys of their own. */
function warnOfEmptyBlocks(root: Node | null, source: SourceText, findings: Findings): void {
  const stack: unknown[] = [root];
  while (stack.length > 0) {
    const node = stack.pop();
    if (!isMap(node)) continue;
    node.items.forEach((pair, index) => {
      const { value } = pair;
      if (isMap(value)) stack.push(value);
      if (!isScalar(value) || (value.type !== Scalar.BLOCK_LITERAL && value.type !== Scalar.BLOCK_FOLDED))
        return;
      const next = node.items[index + 1];
      if (typeof value.value !== 'string' || value.value.trim() !== '' || next === undefined) return;
      const key = isScalar(pair.key) ? String(pair.key.value) : '';
      const following = isScalar(next.key) ? String(next.key.value) : '';
      findings.warn({
        code: 'YAML_EMPTY_BLOCK',
        message: `"${key}" is an empty text, and "${following}" below it is a variable of its own`,
        fix: `Indent the lines that belong to "${key}" deeper than it, or remove the "|".`,
        where: source.place(offsetOf(pair.key)),
      });
    });
  }
}
