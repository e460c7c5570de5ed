import { refusalsOf } from '../devices/refusal.ts';
import { latencyOf } from '../devices/estimate.ts';
import { arenaBytesOf } from '../devices/arena.ts';
import type { LayerWork } from '../devices/work.ts';
import { workOf } from '../devices/work.ts';
import type { Analysis } from '../analysis/report.ts';
import type { Model, NodeId } from '../ir/model.ts';
import { indexOf } from '../ir/walk.ts';
import { arenaOfQuantized } from './gainArena.ts';
import { predictBytes } from './gainBytes.ts';
import type { Finding, Fix, Gain, RuleContext } from './rule.ts';
import { bytesText, durationText } from './support.ts';
import { largestOf } from './survey.ts';

/** Gains smaller than this share of the whole are left out of titles. */
const remarkable = 0.001;

/** Fixes with what they should gain, in numbers and in their titles; a fix that says it itself is left alone. */
export function withGains(context: RuleContext, findings: readonly Finding[]): readonly Finding[] {
  const known = new Map<string, Gain>();
  return findings.map((finding) => {
    if (finding.fixes.length === 0) return finding;
    const removed = finding.layers ?? (finding.layer === undefined ? [] : [finding.layer]);
    const fixes = finding.fixes.map((fix) => {
      const key = JSON.stringify([fix.pass, fix.options, (fix.layers ?? removedBy(fix)) ? removed : []]);
      const gain = { ...(known.get(key) ?? predictGain(context, fix, removed)), ...fix.gain };
      known.set(key, gain);
      const least = promisesLeast.has(fix.pass) && gain.fileBytes !== undefined ? 'at least ' : '';
      const said = gainText(context, gain);
      const words = said === '' ? '' : `${least}${said}`;
      const joint = fix.title.includes(': ') ? ', ' : ': ';
      return words === '' ? fix : { ...fix, gain, title: `${fix.title}${joint}${words}` };
    });
    return { ...finding, fixes };
  });
}

/** Passes that take away more than one finding is about. */
const promisesLeast = new Set(['simplify', 'remove-dead-channels']);

/** Passes whose findings name the layers that go. */
const removers = new Set(['simplify', 'fuse']);

function removedBy({ pass }: Fix): boolean {
  return removers.has(pass);
}

/** What a pass should change, from shapes and the device profile alone. Fields that nobody can tell are absent. */
export function predictGain(context: RuleContext, fix: Fix, removed: readonly NodeId[]): Gain {
  const fileBytes = predictBytes(context, fix, removed);
  const works = worksAfter(context, fix, removed);
  const ramBytes =
    fix.pass === 'quantize-static' && fix.layers === undefined ? savedRam(context, fix) : undefined;
  const latency = works === undefined ? undefined : latencyChange(context, works);
  return {
    ...(fileBytes !== undefined && fileBytes > 0 && { fileBytes }),
    ...(ramBytes !== undefined && { ramBytes }),
    ...latency,
  };
}

/** The work of the layers as it should be behind the pass; `undefined` where the pass changes no speed that is known. */
function worksAfter(
  { model, analysis }: RuleContext,
  fix: Fix,
  removed: readonly NodeId[],
): readonly LayerWork[] | undefined {
  const works = workOf(model, analysis);
  const only = fix.layers === undefined ? undefined : new Set(fix.layers);
  const chosen = (work: LayerWork) =>
    (only === undefined || only.has(work.id)) && work.precision === 'float32';
  switch (fix.pass) {
    case 'quantize-static':
      return works.map((work) => (chosen(work) ? inIntegers(work) : work));
    case 'quantize-dynamic':
      return works.map((work) =>
        chosen(work) && weighs(work, model.dialect)
          ? { ...work, precision: 'int8', hybrid: true, weightBytes: work.weightBytes / 4 }
          : work,
      );
    case 'simplify':
    case 'fuse': {
      const gone = new Set(removed);
      return gone.size === 0 ? undefined : works.filter((work) => !gone.has(work.id));
    }
    default:
      return undefined;
  }
}

function inIntegers(work: LayerWork): LayerWork {
  const { activationBytes, weightBytes } = work;
  const quarter = { weightBytes: weightBytes / 4, precision: 'int8' } as const;
  return activationBytes === undefined
    ? { ...work, ...quarter }
    : { ...work, ...quarter, activationBytes: activationBytes / 4 };
}

/** What dynamic quantization touches: products, and in TFLite convolutions as well. */
function weighs(work: LayerWork, dialect: 'onnx' | 'tflite'): boolean {
  if (work.weightBytes < 4096) return false;
  return dialect === 'tflite' ? work.class !== 'other' : /^(MatMul|Gemm)$/.test(work.op);
}

function latencyChange(context: RuleContext, works: readonly LayerWork[]): Partial<Gain> {
  const { device, model, analysis } = context;
  if (device === undefined) return {};
  const before = runnable(context, workOf(model, analysis));
  const after = runnable(context, works);
  if (after === undefined || (before !== undefined && after >= before * (1 - remarkable))) return {};
  return { latencyMs: { before: before ?? null, after } };
}

function runnable({ device, model }: RuleContext, works: readonly LayerWork[]): number | undefined {
  if (device === undefined) return undefined;
  const refused = refusalsOf(device, model, works).some(
    ({ fatal, fallsBack }) => fatal || fallsBack === true,
  );
  return refused ? undefined : (latencyOf(device, works).ms ?? undefined);
}

/** TFLite operators that Kerf's quantization leaves in floating point. */
const floatOps = /LSTM|RNN|SVDF|^(WHILE|IF|CALL.*)$/;

/** Activations in a quarter of the room, where the model works on integers then. */
function savedRam({ model, analysis }: RuleContext, { options }: Fix): number | undefined {
  const arena = arenaBytesOf(model, analysis);
  if (arena === undefined) return undefined;
  const { target = defaultTarget } = options;
  const after =
    model.dialect === 'onnx'
      ? arenaOfQuantized(model, String(target))
      : quarteredArena(model, analysis, arena);
  return after === undefined || after > arena * (1 - remarkable) ? undefined : arena - after;
}

/** What `quantize-static` quantizes for when nothing is said. */
const defaultTarget = 'x86';

/** The plan's peak, scaled by what would be alive at the worst step. */
function quarteredArena(model: Model, { memory, types }: Analysis, arena: number): number | undefined {
  if (memory === undefined) return undefined;
  const [graph] = model.graphs;
  const { producer, uses } = indexOf(graph);
  const live = new Float64Array(memory.live.length);
  for (const block of memory.blocks) {
    const type = types.get(graph)?.get(block.value);
    const around = [producer.get(block.value), ...(uses.get(block.value) ?? []).map(({ node }) => node)];
    const stays = around.some((node) => node !== undefined && floatOps.test(node.op));
    const float = type?.kind === 'tensor' && type.dtype === 'float32' && !stays;
    const bytes = float ? block.bytes / 4 : block.bytes;
    for (let step = block.first; step <= block.last; step += 1) live[step] = (live[step] ?? 0) + bytes;
  }
  return (arena * largestOf(live)) / Math.max(1, largestOf(memory.live));
}

/** "3.1 MB less, about 2.4 ms on Raspberry Pi 4 (6.1 ms now)"; empty when there is nothing to tell. */
function gainText({ device, analysis }: Pick<RuleContext, 'device' | 'analysis'>, gain: Gain): string {
  const parts: string[] = [];
  const least = Math.max(1, remarkable * analysis.totals.weightBytes);
  if (gain.fileBytes !== undefined && gain.fileBytes >= Math.min(least, 512))
    parts.push(`${bytesText(gain.fileBytes)} less`);
  if (gain.ramBytes !== undefined && gain.ramBytes >= 1)
    parts.push(`about ${bytesText(gain.ramBytes)} less RAM`);
  if (gain.macs !== undefined) parts.push(`${countText(gain.macs)} MACs less`);
  if (gain.latencyMs !== undefined && device !== undefined) {
    const { before, after } = gain.latencyMs;
    const now = before === null ? 'does not run now' : `${durationText(before)} now`;
    parts.push(`about ${durationText(after)} on ${device.name} (${now})`);
  }
  return parts.join(', ');
}

function countText(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toPrecision(3)} G`;
  return count >= 1e6 ? `${(count / 1e6).toPrecision(3)} M` : `${(count / 1e3).toPrecision(3)} k`;
}
