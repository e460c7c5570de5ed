import { fillFrom } from '../../ir/bytes.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { codesModule, columnStep, trialsTogether } from './codeKernels.ts';
import type { Levels } from './roundingRow.ts';

/** How the columns of a float32 matrix are stored. */
export interface ColumnCodes {
  readonly rows: number;
  readonly columns: number;
  /** Rows that share a scale per column. */
  readonly block: number;
  /** Codes one after another. */
  readonly levels: Levels;
  /**
   * Shares of a group's largest magnitude that its largest code may stand for: one, or a multiple of `trialsTogether`, of
   * which the one with the least squared error is taken.
   */
  readonly shares: readonly number[];
  /** Rows of a block whose errors count: every `across`-th. */
  readonly across: number;
  /** Two codes per byte. */
  readonly packed: boolean;
  /** Scales below this become 1. */
  readonly leastScale: number;
}

export interface MadeCodes {
  readonly bytes: Uint8Array;
  /** Block by block. */
  readonly scales: Float32Array;
}

type Kernels = NonNullable<ReturnType<typeof codesModule>>;

/** Rows that lie in memory at once. */
const windowBytes = 1 << 19;

/**
 * Codes and scales of a matrix, with vectors of numbers and a few rows in memory at a time; `undefined` where vectors cannot run
 * or the rows are too long for them. Rounding is that of the plain way, number by number.
 */
export function matrixCodes(tensor: Tensor, choice: ColumnCodes): MadeCodes | undefined {
  const { rows, columns, block, packed } = choice;
  if (rows === 0 || columns === 0) return undefined;
  const space = spaceFor(choice);
  if (space === undefined) return undefined;
  const bytes = new Uint8Array(packed ? Math.ceil((rows * columns) / 2) : rows * columns);
  const scales = new Float32Array(Math.ceil(rows / block) * columns);
  for (let from = 0; from < rows; from += block) {
    const band = { from, to: Math.min(rows, from + block) };
    const windows = windowsOf(band, space.windowRows);
    for (const window of windows) lookAt(space, tensor, window);
    const whole = windows.length === 1;
    const made = chooseScales(space, tensor, band, whole);
    scales.set(made, (from / block) * columns);
    const still = whole && (choice.shares.length === 1 || choice.across === 1);
    for (const window of windows) {
      if (!still) readRows(space, tensor, window, 1);
      encodeRows(space, window, bytes);
    }
  }
  return { bytes, scales };
}

interface Rows {
  readonly from: number;
  readonly to: number;
}

/** Places in the memory of the kernels. */
interface Space {
  readonly choice: ColumnCodes;
  readonly call: Kernels['call'];
  readonly memory: ArrayBuffer;
  readonly windowRows: number;
  readonly rowBytes: number;
  /** Columns, filled up to whole steps. */
  readonly wide: number;
  readonly largest: number;
  readonly trial: number;
  readonly best: number;
  readonly least: number;
  readonly errors: number;
  readonly window: number;
  readonly codes: number;
  readonly packed: number;
}

function spaceFor(choice: ColumnCodes): Space | undefined {
  const { columns, block, shares } = choice;
  const rowBytes = 4 * columns;
  // An even number of rows ends with a whole byte of packed codes; blocks are read once.
  const windowRows =
    choice.block < choice.rows ? block : 2 * Math.max(1, Math.floor(windowBytes / rowBytes / 2));
  const wide = Math.ceil(columns / columnStep) * columnStep;
  let at = 0;
  const take = (bytes: number) => {
    const place = at;
    at += Math.ceil(bytes / 64) * 64 + 64;
    return place;
  };
  const [largest, trial, best] = [take(4 * wide), take(4 * wide * shares.length), take(4 * wide)];
  const [least, errors] = [take(8 * wide), take(8 * wide * shares.length)];
  const window = take(windowRows * rowBytes);
  const [codes, packed] = [take(windowRows * columns), take((windowRows * columns) / 2)];
  const module = codesModule(at);
  if (module === undefined) return undefined;
  const { call, memory } = module;
  return {
    choice,
    call,
    memory,
    windowRows,
    rowBytes,
    wide,
    largest,
    trial,
    best,
    least,
    errors,
    window,
    codes,
    packed,
  };
}

function windowsOf({ from, to }: Rows, most: number): readonly Rows[] {
  return Array.from({ length: Math.ceil((to - from) / most) }, (_, index) => {
    const start = from + index * most;
    return { from: start, to: Math.min(to, start + most) };
  });
}

/** Puts every `step`-th row into the window; gives how many. */
function readRows(space: Space, { data }: Tensor, { from, to }: Rows, step: number): number {
  const { memory, window, rowBytes } = space;
  const count = Math.ceil((to - from) / step);
  const put = (row: number, place: number, length: number) =>
    fillFrom(new Uint8Array(memory, window + place, length), data, row * rowBytes);
  if (step === 1) put(from, 0, count * rowBytes);
  else for (let k = 0; k < count; k += 1) put(from + k * step, k * rowBytes, rowBytes);
  return count;
}

function lookAt(space: Space, tensor: Tensor, window: Rows): void {
  const { call, memory, largest, wide, rowBytes } = space;
  if (window.from % space.choice.block === 0) new Float32Array(memory, largest, wide).fill(0);
  const end = space.window + readRows(space, tensor, window, 1) * rowBytes;
  call.largest(space.window, end, rowBytes, largest);
}

/** The scales of a block of rows, whose largest magnitudes are known; they stay in `best`. `inWindow`: the rows are in memory. */
function chooseScales(space: Space, tensor: Tensor, band: Rows, inWindow: boolean): Float32Array {
  const { choice, call, memory, wide, largest, trial, least, errors, rowBytes } = space;
  const { levels, shares, across, columns, leastScale } = choice;
  const top = Math.max(-levels.low, levels.high);
  const best = new Float32Array(memory, space.best, wide);
  const scalesFor = (share: number, out: number) =>
    call.trial(largest, largest + 4 * wide, out, share, top, leastScale);
  if (shares.length === 1) {
    scalesFor(shares[0] as number, space.best);
    return best.subarray(0, columns);
  }
  new Float64Array(memory, errors, wide * shares.length).fill(0);
  new Float64Array(memory, least, wide).fill(Number.POSITIVE_INFINITY);
  const sums = (index: number) => errors + 8 * wide * index;
  const scales = (index: number) => trial + 4 * wide * index;
  shares.forEach((share, index) => scalesFor(share, scales(index)));
  for (const some of windowsOf(band, space.windowRows * across)) {
    const there = inWindow && across === 1;
    const count = there ? some.to - some.from : readRows(space, tensor, some, across);
    const end = space.window + count * rowBytes;
    for (let index = 0; index < shares.length; index += trialsTogether)
      call.errors(space.window, end, rowBytes, wide, scales(index), sums(index), levels.low, levels.high);
  }
  for (let index = 0; index < shares.length; index += 1)
    call.choose(sums(index), sums(index + 1), least, scales(index), space.best);
  return best.subarray(0, columns);
}

/** Codes of the rows in the window. */
function encodeRows(space: Space, { from, to }: Rows, bytes: Uint8Array): void {
  const { choice, call, memory, rowBytes, window, codes, packed } = space;
  const { levels, columns } = choice;
  const count = (to - from) * columns;
  call.codes(window, window + (to - from) * rowBytes, rowBytes, space.best, codes, levels.low, levels.high);
  if (!choice.packed) {
    bytes.set(new Uint8Array(memory, codes, count), from * columns);
    return;
  }
  new Uint8Array(memory, codes + count, 1).fill(0);
  call.pack(codes, codes + count, packed);
  bytes.set(new Uint8Array(memory, packed, Math.ceil(count / 2)), (from * columns) / 2);
}
