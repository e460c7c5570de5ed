import type { Attribute, Node } from '../../ir/model.ts';
import type { Bytes } from '../../ir/bytes.ts';
import { readFlexMap } from '../../ir/flexMap.ts';
import { formatBytes, formatFloat, formatTensor, formatType, identifier, quoteBytes } from './tokens.ts';

/** Lists longer than this are cut; the count says how much is missing. */
const shownItems = 16;

/**
 * ` <kernel_shape = [3, 3], alpha = 0.1>`, or nothing. Graph attributes name their body, which follows the node. With
 * `most`, attributes beyond it are cut and counted.
 */
export function formatAttributes(node: Node, most = Number.POSITIVE_INFINITY): string {
  if (node.attributes.size === 0) return '';
  const parts: string[] = [];
  for (const [name, attribute] of node.attributes) {
    const text = formatAttribute(attribute);
    if (text !== undefined) parts.push(`${identifier(name)} = ${text}`);
  }
  const cut = parts.length > most ? [...parts.slice(0, most), `... ${parts.length} in all`] : parts;
  return parts.length === 0 ? '' : ` <${cut.join(', ')}>`;
}

/** The value of an attribute, or `undefined` for what only the codec understands. */
export function formatAttribute(attribute: Attribute): string | undefined {
  switch (attribute.kind) {
    case 'int':
    case 'bool':
      return String(attribute.value);
    case 'float':
      return floatText(attribute.value);
    case 'enum':
      return attribute.name;
    case 'string':
      return quoteBytes(attribute.value);
    case 'bytes':
      return flexText(attribute.value) ?? `bytes ${formatBytes(attribute.value.length)}`;
    case 'tensor':
      return formatTensor(attribute.value);
    case 'graph':
      return `graph ${identifier(attribute.value.name)}`;
    case 'type':
      return formatType(attribute.value);
    case 'ref':
      return `@${identifier(attribute.value)}`;
    case 'opaque':
      return undefined;
    default:
      return formatList(attribute);
  }
}

/** Maps of options are small; anything longer is no map. */
const longestMap = 4096;

/** `{max_detections: 10, use_regular_nms: false}` where the bytes are a FlexBuffer map, else `undefined`. */
function flexText(bytes: Bytes): string | undefined {
  if (bytes.length > longestMap) return undefined;
  try {
    const items = [...readFlexMap(bytes.read())].map(
      ([key, value]) => `${identifier(key)}: ${value === undefined ? '...' : JSON.stringify(value)}`,
    );
    return `{${items.join(', ')}}`;
  } catch {
    // Runtimes may keep their options in any form.
    return undefined;
  }
}

type ListAttribute = Extract<Attribute, { readonly value: readonly unknown[] }>;

function formatList(attribute: ListAttribute): string {
  switch (attribute.kind) {
    case 'ints':
      return list(attribute.value, String);
    case 'floats':
      return list(attribute.value, floatText);
    case 'strings':
      return list(attribute.value, quoteBytes);
    case 'tensors':
      return list(attribute.value, formatTensor);
    case 'graphs':
      return list(attribute.value, (graph) => `graph ${identifier(graph.name)}`);
    case 'types':
      return list(attribute.value, formatType);
  }
}

/** Floats keep a decimal point so that they read apart from integers. */
function floatText(value: number): string {
  const text = formatFloat(value);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

function list<T>(items: readonly T[], format: (item: T) => string): string {
  const shown = items.slice(0, shownItems).map((item) => format(item));
  const rest = items.length > shownItems ? `, ... ${items.length} in all` : '';
  return `[${shown.join(', ')}${rest}]`;
}
