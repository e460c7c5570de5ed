import { completeNoise } from '../../optimize/sensitivity/complete.ts';
import { compareOutputs } from '../../runtime/measure/compare.ts';
import type { Scores } from '../../runtime/outputs.ts';
import { inTop, mainOutput } from '../../runtime/outputs.ts';
import type { Agreement } from '../../runtime/measure/reports.ts';

export interface Figures extends Agreement {
  readonly samples: number;
  readonly top1?: number;
}

type Outputs = readonly (Scores | undefined)[];

interface Tally {
  /** Changes of one kind are compared with each other. */
  readonly kind: string;
  readonly comparison: ReturnType<typeof compareOutputs>;
  /** Per output and sample; undefined where the change was not measured. */
  readonly noise: Map<number, (number | undefined)[]>;
  samples: number;
  hits: number;
}

/** Collects outputs of changed models sample by sample, beside those of the original. */
export class Tallies {
  readonly #samples: number;
  readonly #labels: readonly number[] | undefined;
  readonly #tallies = new Map<string, Tally>();
  /** Energy of the original's outputs over all samples. */
  readonly #signal = new Map<number, number>();
  #main = 0;
  #hits = 0;

  constructor(samples: number, labels: readonly number[] | undefined) {
    this.#samples = samples;
    this.#labels = labels;
  }

  /** Outputs of the original for one sample. */
  addOriginal(sample: number, outputs: Outputs): void {
    this.#main = mainOutput(outputs);
    this.#hits += this.#isHit(sample, outputs);
    for (const [at, output] of outputs.entries()) {
      const energy = output?.data.reduce((sum, value) => sum + value * value, 0) ?? 0;
      this.#signal.set(at, (this.#signal.get(at) ?? 0) + energy);
    }
  }

  /** Outputs of a changed model, and what the original gave. */
  add(
    change: { readonly key: string; readonly kind: string },
    sample: number,
    own: Outputs,
    wanted: Outputs,
  ): void {
    let tally = this.#tallies.get(change.key);
    if (tally === undefined) {
      tally = { kind: change.kind, comparison: compareOutputs(), noise: new Map(), samples: 0, hits: 0 };
      this.#tallies.set(change.key, tally);
    }
    tally.comparison.add(own, wanted);
    tally.samples += 1;
    tally.hits += this.#isHit(sample, own);
    for (const [at, output] of wanted.entries()) {
      const found = own[at];
      if (output === undefined || found?.data.length !== output.data.length) continue;
      const noise = tally.noise.get(at) ?? Array.from({ length: this.#samples }, () => undefined);
      noise[sample] = distance(found.data, output.data);
      tally.noise.set(at, noise);
    }
  }

  get top1(): number | undefined {
    return this.#labels === undefined ? undefined : this.#hits / this.#samples;
  }

  /** By the key of the change, in the order in which they came. */
  figures(): ReadonlyMap<string, Figures> {
    const noise = new Map<string, readonly (readonly [number, number])[]>();
    for (const kind of new Set([...this.#tallies.values()].map((tally) => tally.kind)))
      this.#complete(kind, noise);
    const figures = new Map<string, Figures>();
    for (const [key, { comparison, samples, hits }] of this.#tallies) {
      const agreement = comparison.result(this.#main);
      if (agreement === undefined) continue;
      const sqnrDb = this.#sqnrOf(noise.get(key) ?? []);
      const top1 = this.#labels === undefined ? {} : { top1: hits / samples };
      figures.set(key, { ...agreement, sqnrDb, samples, ...top1 });
    }
    return figures;
  }

  /** Noise per output over all samples, for each change of a kind. */
  #complete(kind: string, into: Map<string, readonly (readonly [number, number])[]>): void {
    const own = [...this.#tallies].filter(([, tally]) => tally.kind === kind);
    for (const output of this.#signal.keys()) {
      const rows = own.flatMap(([key, tally]) => {
        const noise = tally.noise.get(output);
        return noise === undefined ? [] : [{ key, noise }];
      });
      const sums = completeNoise(rows.map(({ noise }) => noise));
      for (const [at, { key }] of rows.entries())
        into.set(key, [...(into.get(key) ?? []), [output, sums[at] as number]]);
    }
  }

  /** Of the worst output, dB; null where nothing differs. */
  #sqnrOf(noise: readonly (readonly [number, number])[]): number | null {
    const found = noise.flatMap(([output, energy]) =>
      energy === 0 ? [] : [10 * Math.log10((this.#signal.get(output) ?? 0) / energy)],
    );
    return found.length === 0 ? null : Math.min(...found);
  }

  #isHit(sample: number, outputs: Outputs): number {
    const scores = outputs[this.#main]?.data;
    const label = this.#labels?.[sample];
    return label !== undefined && scores !== undefined && inTop(scores, label, 1) ? 1 : 0;
  }
}

function distance(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += ((a[i] as number) - (b[i] as number)) ** 2;
  return sum;
}
