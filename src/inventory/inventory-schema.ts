import { allVariables } from './variables.ts';

type Schema = Readonly<Record<string, unknown>>;

/** A template may stand wherever a value may. */
const TEMPLATE: Schema = { type: 'string', pattern: '\\{\\{|\\{%' };

/**
 * The JSON Schema of YAML inventories, for editors: groups with hosts, children and vars, and every known variable with its
 * description. `schemas/inventory.schema.json` is this.
 */
export function inventorySchema(): Schema {
  const variables = Object.fromEntries(allVariables().map((info) => [info.name, editorSchema(info.schema)]));
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Inventory of fleet',
    description: 'Hosts and groups in the form of Ansible, with the variables that fleet knows.',
    type: 'object',
    not: { required: ['plugin'] },
    additionalProperties: { $ref: '#/definitions/group' },
    definitions: {
      group: {
        type: ['object', 'null'],
        additionalProperties: false,
        properties: {
          hosts: {
            description: 'The hosts of the group; a name may hold ranges: node[1:3].',
            anyOf: [
              { type: ['object', 'null'], additionalProperties: { $ref: '#/definitions/hostVars' } },
              { type: 'string' },
            ],
          },
          children: {
            description: 'Groups that belong to this group.',
            anyOf: [
              { type: ['object', 'null'], additionalProperties: { $ref: '#/definitions/group' } },
              { type: 'string' },
            ],
          },
          vars: { description: 'Variables of all hosts of the group.', $ref: '#/definitions/hostVars' },
        },
      },
      hostVars: { type: ['object', 'null'], properties: variables, additionalProperties: true },
    },
  };
}

function editorSchema(schema: Readonly<Record<string, unknown>>): Schema {
  const plain = JSON.parse(JSON.stringify(schema)) as Record<string, unknown>;
  const { description, default: fallback, example, scope: _scope, secret: _secret, ...rest } = plain;
  return {
    description,
    ...(fallback === undefined ? {} : { default: fallback }),
    ...(example === undefined ? {} : { examples: [example] }),
    anyOf: [...(Array.isArray(rest.anyOf) ? (rest.anyOf as unknown[]) : [rest]), TEMPLATE, { type: 'null' }],
  };
}
