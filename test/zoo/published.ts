import { readFileSync } from 'node:fs';
import { analyse } from '../../src/analysis/analyse.ts';
import type { Analysis } from '../../src/analysis/report.ts';
import type { Model } from '../../src/ir/model.ts';

/** A row of a table of published parameters and multiply-accumulates. */
interface PublishedRow {
  readonly name: string;
  /** Side of the square input image, where the row says. */
  readonly size: number | undefined;
  readonly params: number | undefined;
  readonly gmacs: number | undefined;
  /** The last digit that the row gives of its parameters and of its GMACs: half of it is rounding. */
  readonly paramDigit: number;
  readonly macDigit: number;
  readonly convention: string;
}

/** Columns: model, task, input, params, gmacs, published value, unit, convention, … */
export function readPublished(file: string): readonly PublishedRow[] {
  const [, ...lines] = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map(rowOf);
}

function rowOf(line: string): PublishedRow {
  const cells = [...line.matchAll(/("([^"]*)"|[^,]*)(?:,|$)/g)].map(
    ([, plain = '', quoted]) => quoted ?? plain,
  );
  const [name = '', , input = '', params = '', gmacs = '', , , convention = ''] = cells;
  const sides = /(\d+)x(\d+)(?:x3)?$/.exec(input);
  return {
    name,
    size: sides !== null && sides[1] === sides[2] ? Number(sides[1]) : undefined,
    params: params === '' ? undefined : Number(params),
    gmacs: gmacs === '' ? undefined : Number(gmacs),
    paramDigit: 10 ** (/0*$/.exec(params)?.[0].length ?? 0),
    macDigit: digitOf(gmacs, convention),
    convention,
  };
}

/** timm prints two decimals whatever their value is, so "7.0" stands for "7.00"; likewise three in torchvision. */
function digitOf(gmacs: string, convention: string): number {
  if (convention.startsWith('timm')) return 0.01;
  if (convention.startsWith('torchvision')) return 0.001;
  if (convention.startsWith('TF-slim')) return 0.001;
  return 10 ** -(gmacs.split('.')[1]?.length ?? 0);
}

/** Our numbers for a network, in the row's convention. */
interface Counted {
  readonly params: number;
  readonly macs: number;
  /** With what the row's tool counts beside multiply-accumulates. */
  readonly inConvention: number;
}

/**
 * Parameters without the running statistics of batch norm, which frameworks do not call parameters. fvcore, which timm
 * uses, adds 2 operations per element of a batch norm, 5 of a layer norm and 1 of a global pooling.
 */
export function count(model: Model, convention: string): Counted {
  const { layers, totals }: Analysis = analyse(model);
  let statistics = 0;
  let extras = 0;
  for (const layer of layers) {
    const elements = (layer.activationBytes ?? Number.NaN) / 4;
    if (layer.op === 'BatchNormalization') {
      statistics += layer.params / 2;
      extras += 2 * elements;
    } else if (layer.op === 'LayerNormalization') extras += 5 * elements;
    else if (layer.op === 'GlobalAveragePool') extras += (layer.inputBytes ?? Number.NaN) / 4;
  }
  const macs = totals.macs ?? Number.NaN;
  const counts = convention.startsWith('timm');
  // TF-slim's table leaves the scale and shift of batch norm out as well.
  const norms = convention.startsWith('TF-slim') ? 2 * statistics : statistics;
  return { params: totals.params - norms, macs, inConvention: counts ? macs + extras : macs };
}

/** Within 1 %, or within half of the last digit that was published; TF-slim's table cuts digits off instead. */
export function agrees(own: number, published: number, row: PublishedRow, digit: number): boolean {
  const cut = row.convention.startsWith('TF-slim') && own >= published && own < published + digit;
  return cut || Math.abs(own - published) <= Math.max(0.01 * published, digit / 2 + 1e-9);
}
