/**
 * Fits the device profiles to published measurements and writes the coefficients into src/devices/profiles and the table
 * of held-out errors into docs/devices.md. Run from the root of the repository:
 *
 *   npx esbuild test/bench/devices/fit.ts --bundle --platform=node --outfile=dist/fit.cjs && node dist/fit.cjs TRUTH
 *   npx biome check --write src/devices docs/devices.md
 *
 * TRUTH is a folder with latency.csv and devices.csv. Every error in the table is of models that were held out.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseCsv } from './csv.ts';
import { inPrecision } from './builder.ts';
import { derived, plans } from './plans.ts';
import type { Derived, Plan } from './plans.ts';
import { netOf } from './rows.ts';
import { fit, mape, predict, solve, spread } from './solve.ts';
import type { Coefficients, Fit, Sample } from './solve.ts';

const truth = process.argv[2];
if (truth === undefined) throw new Error('give the folder with latency.csv and devices.csv');
const table = parseCsv(readFileSync(path.join(truth, 'latency.csv'), 'utf8'));
const cycles = parseCsv(readFileSync(path.join(truth, 'devices.csv'), 'utf8'));

const all = new Map(plans.map((plan) => [plan, samplesOf(plan)]));

/** What the rest of the family says, brought to one scale; a device without family starts from its plan. */
function priorOf(plan: Plan): Coefficients {
  if (plan.family === undefined) return plan.prior;
  const others = [...all].filter(([other]) => other !== plan && other.family === plan.family);
  const pooled = others.flatMap(([, samples]) => normalised(samples, plan.prior));
  return pooled.length === 0 ? plan.prior : solve(pooled, plan.prior, 0.03);
}

function normalised(samples: readonly Sample[], prior: Coefficients): Sample[] {
  const ratios = samples.map(({ net, seconds }) => seconds / predict(net, prior)).sort((a, b) => a - b);
  const scale = ratios[Math.floor(ratios.length / 2)] ?? 1;
  return samples.map((sample) => ({ ...sample, seconds: sample.seconds / scale }));
}

function samplesOf(plan: Plan): Sample[] {
  const bySample = new Map<string, { model: string; net: Sample['net']; seconds: number[] }>();
  const add = (model: string, input: string, net: Sample['net'], seconds: number) => {
    const key = `${model} ${input}`;
    const entry = bySample.get(key) ?? { model, net, seconds: [] };
    entry.seconds.push(seconds);
    bySample.set(key, entry);
  };
  for (const row of table.filter((each) => plan.rows(each))) {
    const net = netOf(row);
    if (net !== undefined)
      add(
        row['model'] ?? '',
        row['input'] ?? '',
        inPrecision(net, plan.precision),
        Number(row['latency_ms']) / 1e3,
      );
  }
  for (const [model, net, seconds] of plan.extra?.(table, cycles) ?? [])
    add(model, '', inPrecision(net, plan.precision), seconds);
  return [...bySample.values()].map(({ model, net, seconds }) => ({
    model,
    net,
    seconds: seconds.sort((a, b) => a - b)[Math.floor((seconds.length - 1) / 2)] ?? Number.NaN,
  }));
}

function line(plan: Plan, samples: readonly Sample[], found: Fit): string {
  const error = found.heldOut.length === 0 ? 'one model' : `${(mape(found.heldOut) * 100).toFixed(0)} %`;
  const band = found.heldOut.length === 0 ? '–' : `×/÷ ${spread(found.heldOut, 0.9).toFixed(2)}`;
  return `| ${plan.device} | ${plan.precision} | ${samples.length} | ${error} | ${band} | ${plan.what} |`;
}

function explain(plan: Plan, samples: readonly Sample[], found: Fit): void {
  console.log(`${plan.device} ${plan.precision}, ridge ${found.ridge}`);
  samples.forEach((sample, index) => {
    const seen = predict(sample.net, found.coefficients) / sample.seconds;
    const held = 1 / (found.heldOut[index]?.ratio ?? Number.NaN);
    console.log(`   ${sample.model}: predicted / measured ${seen.toFixed(2)}, held out ${held.toFixed(2)}`);
  });
}

interface ProfileFile {
  readonly precisions: Record<string, Record<string, string | number>>;
}

const fileOf = (device: string) => path.join('src/devices/profiles', `${device}.json`);
const readProfile = (device: string): ProfileFile => JSON.parse(readFileSync(fileOf(device), 'utf8'));

function write(plan: Plan, found: Fit, count: number): void {
  const profile = readProfile(plan.device);
  profile.precisions[plan.precision] = {
    ...profile.precisions[plan.precision],
    ...figures(found.coefficients),
    uncertainty: bandOf(found, count),
    source: plan.source,
    basis: 'table',
  };
  writeFileSync(fileOf(plan.device), `${JSON.stringify(profile, null, 2)}\n`);
}

function derive({ device, precision, from, clockRatio }: Derived): void {
  const model = readProfile(from).precisions[precision];
  if (model === undefined) throw new Error(`${from} has no ${precision}`);
  const scaled = (key: string, factor: number) => Number((Number(model[key]) * factor).toPrecision(4));
  const profile = readProfile(device);
  profile.precisions[precision] = {
    ...model,
    gmacsPerSecond: scaled('gmacsPerSecond', clockRatio),
    bandwidth: scaled('bandwidth', clockRatio),
    opOverhead: scaled('opOverhead', 1 / clockRatio),
    invokeOverhead: scaled('invokeOverhead', 1 / clockRatio),
    uncertainty: 2,
    source: `cycles of ${from} in ${precision}, at this clock`,
    basis: 'estimated',
  };
  writeFileSync(fileOf(device), `${JSON.stringify(profile, null, 2)}\n`);
}

/** Nine in ten held-out models must lie inside the band; few samples get a wide one whatever they say. */
function bandOf(found: Fit, count: number): number {
  const seen = found.heldOut.length === 0 ? 2 : spread(found.heldOut, 0.9);
  const least = count < 3 ? 2 : count < 8 ? 1.5 : 1.25;
  return Math.ceil(Math.max(least, seen) * 20) / 20;
}

function figures(c: Coefficients): Record<string, number> {
  const short = (value: number) => Number(value.toPrecision(4));
  return {
    gmacsPerSecond: short(1e-9 / c[0]),
    dense3x3: short(c[0] / c[1]),
    depthwise: short(c[0] / c[2]),
    fullyConnected: short(c[0] / c[3]),
    bandwidth: short(1 / c[4]),
    opOverhead: short(c[5]),
    invokeOverhead: short(c[6]),
  };
}

function writeTable(lines: readonly string[]): void {
  const file = 'docs/devices.md';
  const text = readFileSync(file, 'utf8');
  const head =
    '| device | precision | models | mean error, held out | nine in ten within | measured with |\n|---|---|---:|---:|---:|---|';
  const block = `<!-- fit -->\n${head}\n${lines.join('\n')}\n<!-- /fit -->`;
  writeFileSync(file, text.replace(/<!-- fit -->[\s\S]*<!-- \/fit -->/, block));
}

function main(): void {
  const report: string[] = [];
  for (const [plan, samples] of all) {
    const found = fit(samples, priorOf(plan));
    report.push(line(plan, samples, found));
    if (process.argv.includes('--verbose')) explain(plan, samples, found);
    write(plan, found, samples.length);
  }
  for (const each of derived) derive(each);
  report.sort();
  process.stdout.write(`${report.join('\n')}\n`);
  writeTable(report);
}

main();
