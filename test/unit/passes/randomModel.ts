import { attr } from '../../../src/ir/attribute.ts';
import type { OnnxModel } from '../../../src/ir/model.ts';
import { OnnxBuilder } from './build.ts';

interface Map4 {
  readonly id: string;
  readonly channels: number;
}

/** A seeded random convolutional graph with the shapes [N, channels, 8, 8] and plenty of things to simplify and fuse. */
export function randomModel(seed: number): OnnxModel {
  const g = new OnnxBuilder(seed);
  const maps: Map4[] = [{ id: g.input('x', ['N', 3, 8, 8]), channels: 3 }];
  const used = new Set<string>();
  const take = (): Map4 => {
    const map = maps[g.choose(maps.length)] as Map4;
    used.add(map.id);
    return map;
  };
  const steps = 8 + g.choose(14);
  for (let step = 0; step < steps; step += 1) {
    const made = grow(g, `v${step}`, take, maps);
    maps.push(made);
  }
  for (const map of maps) {
    const loose = !used.has(map.id) && map.id !== 'x';
    if (loose) g.output(map.id);
  }
  // Something that is read inside must also be able to leave the model.
  const inner = maps[1 + g.choose(maps.length - 1)] as Map4;
  if (used.has(inner.id)) g.output(inner.id);
  return g.model();
}

function grow(g: OnnxBuilder, name: string, take: () => Map4, maps: readonly Map4[]): Map4 {
  const from = take();
  const { id, channels } = from;
  const same = (made: string): Map4 => ({ id: made, channels });
  switch (g.choose(14)) {
    case 0:
    case 1:
      return convolution(g, name, from);
    case 2:
      return same(g.norm(id, channels, name));
    case 3:
      return same(g.node('Relu', [id], name));
    case 4:
      return same(g.node('Mul', [id, g.floats(`${name}.k`, [channels, 1, 1])], name));
    case 5:
      return same(g.node('Add', [g.floats(`${name}.k`, [1, channels, 1, 1]), id], name));
    case 6:
      return same(g.node('Sub', [g.floats(`${name}.k`, []), id], name));
    case 7:
      return same(g.node('Identity', [id], name));
    case 8: {
      const twins = maps.filter((map) => map.channels === channels);
      const other = twins[g.choose(twins.length)] as Map4;
      return same(g.node('Add', [id, other.id], name));
    }
    case 9: {
      g.node('Transpose', [id], `${name}.t`, { perm: [0, 2, 3, 1] });
      return same(g.node('Transpose', [`${name}.t`], name, { perm: [0, 3, 1, 2] }));
    }
    case 10: {
      g.node('Shape', [id], `${name}.shape`);
      g.node('Reshape', [id, g.integers(`${name}.flat`, [0, -1])], `${name}.r`);
      return same(g.node('Reshape', [`${name}.r`, `${name}.shape`], name));
    }
    case 11: {
      const other = take();
      g.node('Concat', [id, other.id], name, { axis: 1 });
      return { id: name, channels: channels + other.channels };
    }
    case 12:
      return padded(g, name, from);
    default:
      return transposedConvolution(g, name, from);
  }
}

function convolution(g: OnnxBuilder, name: string, { id, channels }: Map4): Map4 {
  const depthwise = g.choose(3) === 0;
  const out = depthwise ? channels * (1 + g.choose(2)) : 1 + g.choose(6);
  const kernel = g.choose(2) === 0 ? 1 : 3;
  const weight = g.floats(`${name}.w`, [out, depthwise ? 1 : channels, kernel, kernel]);
  const inputs = g.choose(2) === 0 ? [id, weight] : [id, weight, g.floats(`${name}.b`, [out])];
  const edge = (kernel - 1) / 2;
  g.node('Conv', inputs, name, { pads: [edge, edge, edge, edge], group: depthwise ? channels : 1 });
  return { id: name, channels: out };
}

function padded(g: OnnxBuilder, name: string, { id, channels }: Map4): Map4 {
  const fill = g.choose(3) === 0 ? 1 : 0;
  g.node(
    'Pad',
    [id, g.integers(`${name}.pads`, [0, 0, 1, 1, 0, 0, 1, 1]), g.floats(`${name}.fill`, [], () => fill)],
    `${name}.p`,
  );
  g.node('Conv', [`${name}.p`, g.floats(`${name}.w`, [2, channels, 3, 3])], name);
  return { id: name, channels: 2 };
}

function transposedConvolution(g: OnnxBuilder, name: string, { id, channels }: Map4): Map4 {
  const group = channels % 2 === 0 ? 2 : 1;
  const perGroup = 1 + g.choose(3);
  const weight = g.floats(`${name}.w`, [channels, perGroup, 3, 3]);
  g.node('ConvTranspose', [id, weight], `${name}.c`, { pads: [1, 1, 1, 1], group });
  g.norm(`${name}.c`, perGroup * group, `${name}.n`);
  g.node('LeakyRelu', [`${name}.n`], name, { alpha: attr.float(0.1) });
  return { id: name, channels: perGroup * group };
}
