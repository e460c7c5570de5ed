import { memoryBytes } from '../../../src/ir/bytes.ts';
import type { Node, OnnxModel, Value } from '../../../src/ir/model.ts';
import { tensorType } from '../../../src/ir/types.ts';
import { onnxModel } from '../../unit/support/onnxModel.ts';

/**
 * Residual blocks of three convolutions with activations, as exporters write them. `redundant`: every third block has a
 * convolution beside it, and one in a hundred holds an Identity, which `simplify` takes away.
 */
export function residualNetwork(count: number, { redundant = false } = {}): OnnxModel {
  const type = tensorType('float32', [1, 16, 16, 16]);
  const weight = {
    dtype: 'float32',
    dims: [16, 16, 3, 3],
    data: memoryBytes(new Uint8Array(16 * 16 * 9 * 4)),
  } as const;
  const values = new Map<string, Value>([
    ['x', { id: 'x', name: 'x', type }],
    ['w', { id: 'w', name: 'w', type: tensorType('float32', weight.dims), constant: weight }],
  ]);
  const nodes: Node[] = [];
  const add = (op: string, inputs: string[], block: number) => {
    const output = `v${nodes.length}`;
    const pads = { kind: 'ints', value: [1, 1, 1, 1] } as const;
    const id = `/block${block}/${op}_${nodes.length}`;
    const attributes = new Map(op === 'Conv' ? [['pads', pads] as const] : []);
    nodes.push({ id, name: id, op, domain: '', inputs, outputs: [output], attributes });
    return output;
  };
  let last = 'x';
  for (let block = 0; nodes.length < count; block += 1) {
    let branch = last;
    for (let i = 0; i < 3; i += 1) branch = add('Relu', [add('Conv', [branch, 'w'], block)], block);
    if (redundant && block % 100 === 50) branch = add('Identity', [branch], block);
    const aside = redundant && block % 3 === 0;
    const side = aside ? add('Relu', [add('Conv', [last, 'w'], block)], block) : last;
    last = add('Relu', [add('Add', [branch, side], block)], block);
  }
  values.set(last, { id: last, name: last, type });
  return onnxModel({ name: 'residual', inputs: ['x'], outputs: [last], nodes, values });
}
