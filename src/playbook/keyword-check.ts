import type { ValidateFunction } from 'ajv';
import type { Fault } from '../core/errors.ts';
import { ownSchemas } from '../core/own-schemas.ts';
import { shown } from './args.ts';
import type { Keyword } from './keywords.ts';
import { entryOf, type Located, placeAlong } from './located.ts';

const ajv = ownSchemas();
const compiled = new WeakMap<Keyword, ValidateFunction>();

/** What is wrong with the value of a keyword, or `undefined`. */
export function keywordFault(name: string, keyword: Keyword, node: Located): Fault | undefined {
  let validate = compiled.get(keyword);
  if (validate === undefined) {
    validate = ajv.compile(keyword.schema);
    compiled.set(keyword, validate);
  }
  if (validate(node.value)) return undefined;
  const extra = validate.errors?.find((error) => error.keyword === 'additionalProperties');
  const deepest = validate.errors?.reduce((a, b) => (b.instancePath.length > a.instancePath.length ? b : a));
  const path = (deepest?.instancePath ?? '').split('/').slice(1);
  const wrong = placeAlong(node, path);
  const extraKey = extra === undefined ? undefined : String(extra.params.additionalProperty);
  const where = (extraKey === undefined ? undefined : entryOf(node, extraKey)?.keyPlace) ?? wrong;
  return {
    code: 'PLAYBOOK_VALUE',
    message: `'${name}' must be ${keyword.expects}, not ${extra === undefined ? shown(node.value) : `with '${String(extra.params.additionalProperty)}'`}`,
    fix: `${keyword.description}`,
    where,
    blame: 'usage',
  };
}
