import type { Attribute, Node, ValueId } from '../../ir/model.ts';
import { memoryBytes } from '../../ir/bytes.ts';
import { attr, intsAttribute } from '../../ir/attribute.ts';
import type { GraphEditor } from '../../ir/edit.ts';
import { intTensor } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { qdq } from './emitter.ts';
import type { Folding } from './kernelForms.ts';

const order = (...axes: readonly number[]) => new Map([['perm', attr.ints(axes)]]);

/**
 * The input of a convolution on folded columns. Of each channel, the columns of a group move together. What turns the result
 * back to channels first vanishes in runtimes that compute with channels last.
 */
export function foldedInput(
  editor: GraphEditor,
  { columns, widths: [width], channels: [channels] }: Folding,
  from: ValueId,
  to: ValueId,
): readonly Node[] {
  const groups = width / columns;
  const parts = ['groups', 'last', 'rows'].map((part) => editor.freshValue(`${to}_${part}`));
  const [grouped, last, rows] = parts as [ValueId, ValueId, ValueId];
  return [
    reshape(editor, from, grouped, [0, 0, 0, groups, columns]),
    qdq(editor, 'Transpose', [grouped], last, last, order(0, 2, 3, 1, 4)),
    reshape(editor, last, rows, [0, 0, groups, channels * columns]),
    qdq(editor, 'Transpose', [rows], to, to, order(0, 3, 1, 2)),
  ];
}

/** Its result, column by column. */
export function unfolded(
  editor: GraphEditor,
  { widths, channels }: Folding,
  from: ValueId,
  to: ValueId,
): readonly Node[] {
  const last = editor.freshValue(`${from}_last`);
  const rows = editor.freshValue(`${from}_rows`);
  return [
    qdq(editor, 'Transpose', [from], last, last, order(0, 2, 3, 1)),
    reshape(editor, last, rows, [0, 0, widths[1], channels[1]]),
    qdq(editor, 'Transpose', [rows], to, to, order(0, 3, 1, 2)),
  ];
}

/** With zeros for the axes that stay. */
function reshape(editor: GraphEditor, from: ValueId, to: ValueId, shape: readonly number[]): Node {
  const id = editor.addConstant(`${to}_shape`, intTensor('int64', [shape.length], shape));
  return qdq(editor, 'Reshape', [from, id], to, to);
}

/** The attributes of a convolution on folded columns. */
export function foldedAttributes(node: Node, { reach, rows }: Folding): ReadonlyMap<string, Attribute> {
  const [top = 0, , bottom = 0] = intsAttribute(node, 'pads') ?? [];
  return new Map(node.attributes)
    .set('kernel_shape', attr.ints([rows, reach[1] - reach[0] + 1]))
    .set('strides', attr.ints([intsAttribute(node, 'strides')?.[0] ?? 1, 1]))
    .set('dilations', attr.ints([intsAttribute(node, 'dilations')?.[0] ?? 1, 1]))
    .set('pads', attr.ints([top, -reach[0], bottom, reach[1]]));
}

/**
 * Codes of filters [N, C, rows, width] for folded columns: [results * N, C * columns, rows, groups], zeros where a window does
 * not reach.
 */
export function foldedFilters({ dtype, dims, data }: Tensor, folding: Folding): Tensor {
  const [filters = 0, channels = 0, rows = 0, width = 0] = dims;
  const { columns, results, stride, dilation, before, reach } = folding;
  const groups = reach[1] - reach[0] + 1;
  const own = data.read();
  const inputs = columns * channels;
  const codes = new Uint8Array(results * filters * inputs * rows * groups);
  for (let result = 0; result < results; result += 1) {
    for (let k = 0; k < width; k += 1) {
      const column = stride * result - before + dilation * k - reach[0] * columns;
      const group = Math.floor(column / columns);
      const place = column - group * columns;
      for (let n = 0; n < filters; n += 1) {
        for (let c = 0; c < channels; c += 1) {
          for (let row = 0; row < rows; row += 1) {
            const to =
              (((result * filters + n) * inputs + c * columns + place) * rows + row) * groups + group;
            codes[to] = own[((n * channels + c) * rows + row) * width + k] as number;
          }
        }
      }
    }
  }
  return { dtype, dims: [results * filters, inputs, rows, groups], data: memoryBytes(codes) };
}

/** One number per filter, for each of the columns that are made at once. */
export function repeated(values: Float32Array, times: number): Float32Array {
  if (times === 1 || values.length === 1) return values;
  const all = new Float32Array(values.length * times);
  for (let i = 0; i < times; i += 1) all.set(values, i * values.length);
  return all;
}
