// Full analysis (shapes, costs, memory plan) of graphs of growing size, and how it grows; by processor time, the best of five.
// Usage: npm run bench -- analysis [nodes…]
import { analyse } from '../../src/analysis/analyse.ts';
import { attr } from '../../src/ir/attribute.ts';
import { missingBytes } from '../../src/ir/bytes.ts';
import type { Node, OnnxModel, Value } from '../../src/ir/model.ts';
import { tensorType } from '../../src/ir/types.ts';
import { onnxModel } from '../unit/support/onnxModel.ts';

const sizes = process.argv.slice(2).map(Number);
const rounds = 5;

/** Residual blocks of convolutions with shape arithmetic beside them, as exporters write them: ten nodes per block. */
function blocks(count: number): OnnxModel {
  const values = new Map<string, Value>();
  const nodes: Node[] = [];
  values.set('x', { id: 'x', name: 'x', type: tensorType('float32', [1, 16, 32, 32]) });
  const weight = (id: string, dims: readonly number[]) => {
    const data = missingBytes(
      dims.reduce((a, b) => a * b, 4),
      'not stored',
    );
    values.set(id, {
      id,
      name: id,
      type: tensorType('float32', dims),
      constant: { dtype: 'float32', dims, data },
    });
    return id;
  };
  const add = (
    op: string,
    inputs: readonly string[],
    output: string,
    more: Node['attributes'] = new Map(),
  ) => {
    nodes.push({ id: output, name: output, op, domain: '', inputs, outputs: [output], attributes: more });
    return output;
  };
  const pads = new Map([['pads', attr.ints([1, 1, 1, 1])]]);
  let at = 'x';
  for (let block = 0; nodes.length + 10 <= count; block += 1) {
    const name = (part: string) => `b${block}.${part}`;
    const first = add('Conv', [at, weight(name('w1'), [16, 16, 3, 3])], name('c1'), pads);
    const second = add('Relu', [first], name('r1'));
    const third = add('Conv', [second, weight(name('w2'), [16, 16, 3, 3])], name('c2'), pads);
    const shape = add('Shape', [third], name('s'));
    const flat = add('Reshape', [third, shape], name('f'));
    const scaled = add('Sigmoid', [flat], name('g'));
    const gated = add('Mul', [flat, scaled], name('m'));
    const mixed = add('Conv', [gated, weight(name('w3'), [16, 16, 1, 1])], name('c3'));
    const sum = add('Add', [mixed, at], name('a'));
    at = add('Relu', [sum], name('y'));
  }
  return onnxModel({ name: 'blocks', inputs: ['x'], outputs: [at], nodes, values });
}

function milliseconds(model: OnnxModel): number {
  const before = process.cpuUsage();
  const { totals, unresolved } = analyse(model);
  const { user, system } = process.cpuUsage(before);
  if (totals.macs === undefined || unresolved.length > 0) throw new Error('the graph was not resolved');
  return (user + system) / 1000;
}

let former: number | undefined;
for (const size of sizes.length > 0 ? sizes : [12_500, 25_000, 50_000, 100_000, 200_000]) {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round += 1) best = Math.min(best, milliseconds(blocks(size)));
  const each = best / size;
  const growth =
    former === undefined ? '' : `, ${(each / former).toFixed(2)} times the time per node of the row before`;
  console.log(`${size} nodes: ${best.toFixed(0)} ms, ${(each * 1000).toFixed(1)} µs per node${growth}`);
  former = each;
}
