/** How well a model does on data. */
export interface EvalReport {
  readonly samples: number;
  readonly data: string;
  /** Share of samples whose label is the highest score, 0..1. */
  readonly top1?: number;
  /** Absent for five classes or fewer. */
  readonly top5?: number;
  readonly reference?: Agreement;
  /** How the two models were brought together, where that was not plain. */
  readonly notes?: readonly string[];
}

/** How close a model's outputs are to a reference's; with several outputs, the figure of the worst one. */
export interface Agreement {
  /** Share of samples whose arg-max agrees. */
  readonly agreement: number;
  /** Signal to quantization-noise ratio of the outputs, dB; null when outputs are identical. */
  readonly sqnrDb: number | null;
  readonly cosine: number;
  /** Kullback-Leibler divergence from the reference's distribution, nats. */
  readonly klDiv: number;
}

/** Milliseconds. */
export interface LatencyStats {
  readonly min: number;
  readonly median: number;
  readonly mean: number;
  readonly p90: number;
  readonly p99: number;
}

export interface BenchReport {
  readonly runtime: string;
  readonly provider: string;
  readonly threads: number;
  readonly runs: number;
  readonly loadMs: number;
  readonly latencyMs: LatencyStats;
  readonly peakRssBytes: number;
  /** `id` is null when the runtime's operator maps to no single layer. */
  readonly layers: readonly {
    readonly id: string | null;
    readonly name: string;
    readonly ms: number;
    readonly share: number;
  }[];
  readonly fallback: readonly { readonly id: string; readonly reason: string }[];
  readonly inputs: string;
  /** `speedup`: the other model's median latency over this one's; above 1 this one is faster. */
  readonly against?: Omit<BenchReport, 'against'> & { readonly speedup: number };
}
