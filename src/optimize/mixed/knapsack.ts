/** What choosing an option for a layer costs (bytes, milliseconds) and loses (noise power); both add up over layers. */
export interface Option {
  readonly cost: number;
  readonly loss: number;
}

export interface FrontierPoint extends Option {
  /** The option of each layer. */
  readonly picks: readonly number[];
}

export interface Frontier {
  /** From the cheapest to the least loss; none is beaten in both by another. */
  readonly points: readonly FrontierPoint[];
  /** Whether these are all of them: beyond a limit, one of several that cost nearly the same is kept. */
  readonly exact: boolean;
}

/** States of one layer's table; columns, because there are many. */
interface Table {
  readonly cost: Float64Array;
  readonly loss: Float64Array;
  /** State of the layers before, and the option taken. */
  readonly from: Int32Array;
  readonly option: Int32Array;
  readonly size: number;
}

/** Enough that a frontier of bytes is cut to parts in ten thousand. */
const mostStates = 8000;

/**
 * All choices of one option per layer that no other beats in cost and loss at once: the multiple-choice knapsack for
 * every budget, by dynamic programming over undominated partial choices (Nemhauser and Ullmann 1969).
 */
export function frontierOf(layers: readonly (readonly Option[])[], limit = mostStates): Frontier {
  const tables: Table[] = [];
  let last: Table = {
    cost: Float64Array.of(0),
    loss: Float64Array.of(0),
    from: Int32Array.of(-1),
    option: Int32Array.of(-1),
    size: 1,
  };
  let exact = true;
  for (const options of layers) {
    const grown = undominated(extended(last, options));
    exact &&= grown.size <= limit;
    last = grown.size <= limit ? grown : thinned(grown, limit);
    tables.push(last);
  }
  return { exact, points: Array.from({ length: last.size }, (_, state) => pointAt(tables, last, state)) };
}

function extended(before: Table, options: readonly Option[]): Table {
  const size = before.size * options.length;
  const table = emptyTable(size);
  let at = 0;
  for (let state = 0; state < before.size; state += 1) {
    for (const [option, { cost, loss }] of options.entries()) {
      table.cost[at] = (before.cost[state] as number) + cost;
      table.loss[at] = (before.loss[state] as number) + loss;
      table.from[at] = state;
      table.option[at] = option;
      at += 1;
    }
  }
  return table;
}

function emptyTable(size: number): Table {
  return {
    cost: new Float64Array(size),
    loss: new Float64Array(size),
    from: new Int32Array(size),
    option: new Int32Array(size),
    size,
  };
}

function undominated(table: Table): Table {
  const { cost, loss } = table;
  const order = Array.from({ length: table.size }, (_, state) => state).sort(
    (a, b) => (cost[a] as number) - (cost[b] as number) || (loss[a] as number) - (loss[b] as number),
  );
  let least = Number.POSITIVE_INFINITY;
  return selected(
    table,
    order.filter((state) => {
      if ((loss[state] as number) >= least) return false;
      least = loss[state] as number;
      return true;
    }),
  );
}

/** One state of each of `limit` equal intervals of cost, the one with the least loss, and the cheapest one of all. */
function thinned(table: Table, limit: number): Table {
  const low = table.cost[0] as number;
  const width = ((table.cost[table.size - 1] as number) - low) / (limit - 1);
  const kept = [0];
  for (let state = 1; state < table.size; state += 1) {
    const bin = Math.floor(((table.cost[state] as number) - low) / width);
    const next = Math.floor(((table.cost[state + 1] ?? Number.POSITIVE_INFINITY) - low) / width);
    // Sorted by cost with falling loss: the last one of an interval loses least.
    if (bin !== next) kept.push(state);
  }
  return selected(table, kept);
}

function selected(table: Table, states: readonly number[]): Table {
  return {
    cost: Float64Array.from(states, (state) => table.cost[state] as number),
    loss: Float64Array.from(states, (state) => table.loss[state] as number),
    from: Int32Array.from(states, (state) => table.from[state] as number),
    option: Int32Array.from(states, (state) => table.option[state] as number),
    size: states.length,
  };
}

function pointAt(tables: readonly Table[], last: Table, state: number): FrontierPoint {
  const picks: number[] = [];
  let at = state;
  for (let layer = tables.length - 1; layer >= 0; layer -= 1) {
    const table = tables[layer] as Table;
    picks[layer] = table.option[at] as number;
    at = table.from[at] as number;
  }
  return { cost: last.cost[state] as number, loss: last.loss[state] as number, picks };
}
