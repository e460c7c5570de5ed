import type { Command } from 'commander';
import type { Result } from '../../engine/protocol.ts';
import { jsonFlag } from '../flags.ts';
import { bytes, count, table } from '../format.ts';
import { print } from '../output.ts';
import type { Session } from '../session.ts';

type Weights = Result<'weights'>['weights'];

/** `kerf weights`: statistics of every stored tensor. */
export function addWeightsCommand(program: Command, session: Session): void {
  program
    .command('weights <model>')
    .description(
      'range, zeros, outlier channels, effective rank, duplicates and alignment of every stored tensor',
    )
    .option(...jsonFlag)
    .action(async (model: string, options: { json?: boolean }) => {
      const handle = await session.open(model);
      const { weights } = await session.engine.call('weights', { handle });
      print(options.json, { weights }, () => weightsText(weights));
    });
}

function weightsText(weights: Weights): string {
  const rows = [...weights]
    .sort((a, b) => b.bytes - a.bytes)
    .map((each) => [
      each.value.split(';')[0] ?? each.value,
      `${each.dtype}[${each.dims.join('×')}]`,
      bytes(each.bytes),
      each.min === null || each.max === null ? 'unknown' : `${short(each.min)} to ${short(each.max)}`,
      each.zeros === null ? 'unknown' : count(each.zeros),
      remarks(each),
    ]);
  return table([['tensor', 'type', 'size', 'range', 'zeros', 'remarks'], ...rows], [2, 4]);
}

const short = (value: number) => String(Number(value.toPrecision(3)));

function remarks({ outliers, rank, duplicateOf, nonFinite, alignment }: Weights[number]): string {
  const found: string[] = [];
  if ((nonFinite ?? 0) > 0) found.push(`${nonFinite} not finite`);
  const [first] = outliers;
  if (first !== undefined) {
    const channels = outliers.length === 1 ? `channel ${first.channel}` : `${outliers.length} channels`;
    found.push(`${channels} up to ${short(first.ratio)} times the median`);
  }
  if (rank !== null) found.push(`rank ${short(rank.effective)} of ${short(rank.random)} if independent`);
  if (duplicateOf !== null) found.push(`same as ${duplicateOf}`);
  if (alignment !== null && alignment < 4) found.push(`at a multiple of ${alignment}`);
  return found.join('; ');
}
