import type { Estimate } from '../../optimize/sensitivity/certainty.ts';
import { rankCertainty } from '../../optimize/sensitivity/certainty.ts';
import type { Completed } from '../../optimize/sensitivity/complete.ts';
import { completeNoise } from '../../optimize/sensitivity/complete.ts';
import { compareOutputs } from '../../runtime/measure/compare.ts';
import type { Scores } from '../../runtime/outputs.ts';
import { inTop, mainOutput } from '../../runtime/outputs.ts';
import type { Agreement } from '../../runtime/measure/reports.ts';

export interface Figures extends Agreement {
  readonly samples: number;
  readonly top1?: number;
  /** Standard error of the SQNR beside those of other changes, dB; 0 when it was measured on all samples. */
  readonly sqnrErrorDb: number;
}

/** What the order of the layers is based on. */
export interface Ranking {
  /** Samples that any layer was measured on. */
  readonly samples: number;
  /** Rank correlation (Spearman) to be expected with the order on all samples. */
  readonly expectedCorrelation: number;
}

/** A change beside others: the logarithm of its noise to signal, and on how many samples it was seen. */
interface ChangeEstimate extends Estimate {
  readonly measured: number;
}

interface OutputNoise extends Completed {
  readonly output: number;
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
  /** Energy of the original's outputs over the samples it ran on. */
  readonly #signal = new Map<number, number>();
  readonly #seen = new Set<number>();
  #main = 0;
  #hits = 0;

  constructor(samples: number, labels: readonly number[] | undefined) {
    this.#samples = samples;
    this.#labels = labels;
  }

  /** Outputs of the original for one sample. */
  addOriginal(sample: number, outputs: Outputs): void {
    this.#main = mainOutput(outputs);
    this.#seen.add(sample);
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
    return this.#labels === undefined ? undefined : this.#hits / this.#seen.size;
  }

  /** By the key of the change, in the order in which they came. */
  figures(): ReadonlyMap<string, Figures> {
    const noise = this.#noise();
    const figures = new Map<string, Figures>();
    for (const [key, { comparison, samples, hits }] of this.#tallies) {
      const agreement = comparison.result(this.#main);
      if (agreement === undefined) continue;
      const { sqnrDb, error } = this.#worst(noise.get(key) ?? []);
      const top1 = this.#labels === undefined ? {} : { top1: hits / samples };
      figures.set(key, { ...agreement, sqnrDb, sqnrErrorDb: decibelsOf(error), samples, ...top1 });
    }
    return figures;
  }

  /** What is known of the whole changes of layers by now. */
  estimates(): ReadonlyMap<string, ChangeEstimate> {
    const found = new Map<string, ChangeEstimate>();
    for (const [key, noise] of this.#noise('all')) {
      const { sqnrDb, error } = this.#worst(noise);
      const level = sqnrDb === null ? Number.NEGATIVE_INFINITY : -sqnrDb / decibelsOf(1);
      found.set(key, { level, error, measured: this.#tallies.get(key)?.samples ?? 0 });
    }
    return found;
  }

  ranking(): Ranking {
    const { correlation } = rankCertainty([...this.estimates().values()]);
    return { samples: this.#seen.size, expectedCorrelation: correlation };
  }

  /** Noise per output over all samples that were seen, by the key of the change; of one kind or all. */
  #noise(kind?: string): ReadonlyMap<string, readonly OutputNoise[]> {
    const into = new Map<string, OutputNoise[]>();
    const kinds = kind === undefined ? [...this.#tallies.values()].map((tally) => tally.kind) : [kind];
    for (const each of new Set(kinds)) {
      // In an order that does not depend on which process was faster: sums depend on it in their last bits.
      const own = [...this.#tallies]
        .filter(([, tally]) => tally.kind === each)
        .sort(([a], [b]) => (a < b ? -1 : 1));
      for (const output of this.#signal.keys()) {
        const rows = own.flatMap(([key, tally]) => {
          const noise = tally.noise.get(output);
          return noise === undefined ? [] : [{ key, noise }];
        });
        const completed = completeNoise(
          rows.map(({ noise }) => noise),
          this.#samples,
        );
        for (const [at, { key }] of rows.entries()) {
          const found = into.get(key) ?? [];
          found.push({ output, ...(completed[at] as Completed) });
          into.set(key, found);
        }
      }
    }
    return into;
  }

  /** Of the worst output, dB; null where nothing differs. */
  #worst(noise: readonly OutputNoise[]): { readonly sqnrDb: number | null; readonly error: number } {
    let worst: { readonly sqnrDb: number | null; readonly error: number } = { sqnrDb: null, error: 0 };
    for (const { output, total, error } of noise) {
      if (total === 0) continue;
      const sqnrDb = 10 * Math.log10((this.#signal.get(output) ?? 0) / total);
      if (worst.sqnrDb === null || sqnrDb < worst.sqnrDb) worst = { sqnrDb, error };
    }
    return worst;
  }

  #isHit(sample: number, outputs: Outputs): number {
    const scores = outputs[this.#main]?.data;
    const label = this.#labels?.[sample];
    return label !== undefined && scores !== undefined && inTop(scores, label, 1) ? 1 : 0;
  }
}

/** Of a small relative difference in power. */
function decibelsOf(relative: number): number {
  return (10 / Math.LN10) * relative;
}

function distance(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += ((a[i] as number) - (b[i] as number)) ** 2;
  return sum;
}
