import { isMap } from 'yaml';
import { NOT_LITERAL, parseLiteral } from '../jinja/literal.ts';
import { setOwn, toPlain } from '../jinja/value.ts';
import { deepFreeze } from './deep-freeze.ts';
import type { Findings } from './findings.ts';
import type { InventoryReader } from './inventory-reader.ts';
import { splitShellWords } from './shell-words.ts';
import { SourceText } from './source-text.ts';
import { readVarsFile, type VarLayer } from './vars-files.ts';
import type { WrittenValue } from './written-value.ts';
import { readYamlFile } from './yaml-file.ts';

const FLAG = '-e';

/**
 * Reads `-e` arguments, the later winning: `@file`, JSON or YAML in braces, or `key=value key2='v 2'`, where values stay text.
 */
export async function readExtraVars(
  args: readonly string[],
  reader: InventoryReader,
  findings: Findings,
): Promise<VarLayer> {
  const layer = new Map<string, WrittenValue>();
  for (const argument of args) {
    const vars = await readOne(argument.trim(), reader, findings);
    for (const [name, value] of vars) layer.set(name, value);
  }
  return layer;
}

async function readOne(argument: string, reader: InventoryReader, findings: Findings): Promise<VarLayer> {
  if (argument === '') return new Map();
  if (argument.startsWith('@')) return readVarsFile(reader, argument.slice(1), findings);
  if (argument.startsWith('{') || argument.startsWith('[')) return readBraces(argument, reader, findings);
  const split = splitShellWordsWithoutComments(argument);
  const vars = new Map<string, WrittenValue>();
  const wrong = (what: string): void =>
    findings.error({
      code: 'EXTRA_VARS',
      message: `"${what}" given by -e is not key=value`,
      fix: 'Write -e \'key=value other="a b"\', -e \'{"key": 5}\' or -e @file.yml.',
    });
  if (split === undefined) {
    wrong(argument);
    return vars;
  }
  for (const word of split) {
    const equals = word.indexOf('=');
    if (equals <= 0) wrong(word);
    else vars.set(word.slice(0, equals), { value: word.slice(equals + 1), where: { file: FLAG } });
  }
  return vars;
}

/** `#` starts no comment on a command line. */
function splitShellWordsWithoutComments(text: string): readonly string[] | undefined {
  const HASH = '\u0001';
  return splitShellWords(text.replaceAll('#', HASH))?.words.map((word) => word.text.replaceAll(HASH, '#'));
}

function readBraces(argument: string, reader: InventoryReader, findings: Findings): VarLayer {
  const vars = new Map<string, WrittenValue>();
  const literal = parseLiteral(argument, { json: true });
  const json: Record<string, unknown> = {};
  const file = readYamlFile(new SourceText(FLAG, argument), reader.vault, findings);
  if (file !== undefined) {
    const root = file.values.resolve(file.root);
    if (isMap(root)) {
      for (const { key, valueNode } of file.values.pairs(root))
        setOwn(json, String(key), file.values.value(valueNode));
      file.finish();
      for (const [name, value] of Object.entries(json)) vars.set(name, { value, where: { file: FLAG } });
      return vars;
    }
  }
  const plain = literal === NOT_LITERAL ? undefined : toPlain(literal);
  if (plain === null || typeof plain !== 'object' || Array.isArray(plain)) {
    findings.error({
      code: 'EXTRA_VARS',
      message: `${argument.slice(0, 60)} given by -e is not an object of variables`,
      fix: `Write -e '{"key": "value"}'.`,
    });
    return vars;
  }
  for (const [name, value] of Object.entries(plain))
    vars.set(name, { value: deepFreeze(value), where: { file: FLAG } });
  return vars;
}
