import { VARIABLES } from '../../src/inventory/variables.ts';

/** schemas/inventory.schema.json: YAML inventories, for editors. What fleet itself checks goes further. */
export function inventoryJsonSchema(): object {
  const plain = JSON.parse(
    JSON.stringify(VARIABLES, (key, value) => (['scope', 'secret'].includes(key) ? undefined : value)),
  ) as { properties: Record<string, { example?: unknown }> };
  const variables = Object.entries(plain.properties).map(([name, { example, ...schema }]) => {
    const described = example === undefined ? schema : { ...schema, examples: [example] };
    // A template may stand for a value of any type.
    return [
      name,
      { ...described, anyOf: [...alternatives(schema), { type: 'string', pattern: '\\{\\{|\\{%' }] },
    ];
  });
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'fleet inventory',
    type: ['object', 'null'],
    additionalProperties: { $ref: '#/definitions/group' },
    definitions: {
      group: {
        type: ['object', 'null'],
        properties: {
          hosts: {
            description: 'Hosts by name, each with its own variables or nothing. Ranges: node[1:3].',
            anyOf: [
              { type: ['object', 'null'], additionalProperties: { $ref: '#/definitions/variables' } },
              { type: 'string' },
            ],
          },
          children: {
            description: 'Groups inside this one.',
            anyOf: [
              { type: ['object', 'null'], additionalProperties: { $ref: '#/definitions/group' } },
              { type: 'string' },
            ],
          },
          vars: { description: 'Variables of all its hosts.', $ref: '#/definitions/variables' },
        },
        additionalProperties: false,
      },
      variables: {
        type: ['object', 'null'],
        properties: Object.fromEntries(variables),
        additionalProperties: true,
      },
    },
  };
}

function alternatives(schema: object): readonly object[] {
  if ('anyOf' in schema && Array.isArray(schema.anyOf)) return schema.anyOf;
  return [schema];
}
