/** A stretch of neighbouring layers that reads as one thing. `end` is exclusive. */
interface Segment {
  readonly begin: number;
  readonly end: number;
  readonly title: string;
}

const longestPeriod = 256;
const shortestPeriod = 4;
const chunk = 40;

/**
 * Cuts layers that have no name scopes into blocks: tandem repeats of operator sequences first ("Block 3 of 12"), then
 * stretches of about forty layers. `tokens[i]` says what layer `i` looks like, `crossing[i]` how many values pass from
 * before layer `i` to it or beyond; cuts prefer places where one value passes.
 */
export function segmentsOf(tokens: Uint32Array, crossing: Uint32Array): readonly Segment[] {
  const segments: Segment[] = [];
  let plain = 0;
  let at = 0;
  while (at < tokens.length) {
    const repeat = repeatAt(tokens, at);
    if (repeat === undefined) {
      at++;
      continue;
    }
    const { period, copies } = repeat;
    const begin = bestPhase(crossing, at, repeat);
    segments.push(...chunks(crossing, plain, begin));
    const whole = begin === at ? copies : copies - 1;
    for (let k = 0; k < whole; k++) {
      const start = begin + k * period;
      segments.push({ begin: start, end: start + period, title: `Block ${k + 1} of ${whole}` });
    }
    at = plain = begin + whole * period;
  }
  segments.push(...chunks(crossing, plain, tokens.length));
  return segments;
}

interface Repeat {
  readonly period: number;
  readonly copies: number;
}

/** The repeat beginning here that covers most; the shorter period wins a tie. */
function repeatAt(tokens: Uint32Array, at: number): Repeat | undefined {
  let best: Repeat | undefined;
  let covered = 0;
  const left = tokens.length - at;
  for (let period = shortestPeriod; period <= longestPeriod && 2 * period <= left; period++) {
    let run = 0;
    while (at + period + run < tokens.length && tokens[at + run] === tokens[at + period + run]) run++;
    const copies = 1 + Math.floor(run / period);
    // A run of one operator repeats with every period; it is no block.
    if (copies < 2 || copies * period <= covered || uniform(tokens, at, period)) continue;
    best = { period, copies };
    covered = copies * period;
  }
  return best !== undefined && covered >= 3 * shortestPeriod ? best : undefined;
}

function uniform(tokens: Uint32Array, at: number, period: number): boolean {
  for (let k = 1; k < period; k++) if (tokens[at + k] !== tokens[at]) return false;
  return true;
}

/** Where to begin the first copy: the rotation whose borders are crossed by the fewest values. */
function bestPhase(crossing: Uint32Array, at: number, { period, copies }: Repeat): number {
  if (copies < 3) return at;
  let best = at;
  let fewest = Infinity;
  for (let phase = 0; phase < period; phase++) {
    let sum = 0;
    for (let k = 1; k < copies; k++) sum += crossing[at + phase + k * period] ?? 0;
    if (sum < fewest) {
      fewest = sum;
      best = at + phase;
    }
  }
  return best;
}

function chunks(crossing: Uint32Array, begin: number, end: number): readonly Segment[] {
  const segments: Segment[] = [];
  let from = begin;
  while (end - from > chunk * 1.5) {
    let cut = from + chunk;
    for (let i = from + chunk / 2; i <= from + chunk * 1.5 && i < end; i++) {
      if (crossing[i]! < crossing[cut]!) cut = i;
    }
    segments.push({ begin: from, end: cut, title: `Layers ${from + 1} to ${cut}` });
    from = cut;
  }
  if (end > from) segments.push({ begin: from, end, title: `Layers ${from + 1} to ${end}` });
  return segments;
}

/** How many values pass each border between neighbours: entry `i` is the border before layer `i`. Linear. */
export function crossingValues(count: number, from: Uint32Array, to: Uint32Array): Uint32Array {
  const last = Uint32Array.from({ length: count }, (_, i) => i);
  for (let e = 0; e < from.length; e++) {
    if (to[e]! > last[from[e]!]!) last[from[e]!] = to[e]!;
  }
  const change = new Int32Array(count + 2);
  for (let v = 0; v < count; v++) {
    change[v + 1]!++;
    change[last[v]! + 1]!--;
  }
  const crossing = new Uint32Array(count);
  for (let i = 0, open = 0; i < count; i++) {
    open += change[i]!;
    crossing[i] = open;
  }
  return crossing;
}
