// Published parameters and multiply-accumulates against the analyser's, for every row whose network is built in test/zoo.
// Usage: npm run bench -- flops TABLE.csv
import { count, agrees, readPublished } from '../zoo/published.ts';
import { networkOf } from '../zoo/rows.ts';

const file = process.argv[2];
if (file === undefined) throw new Error('name the table: npm run bench -- flops ../shared/truth/flops.csv');
let rows = 0;
let plain = 0;
let converted = 0;
const families = new Map<string, { rows: number; plain: number; converted: number }>();
for (const row of readPublished(file)) {
  const model = row.size === undefined ? undefined : networkOf(row.name, row.size);
  if (model === undefined || row.params === undefined || row.gmacs === undefined) continue;
  const own = count(model, row.convention);
  const params = agrees(own.params, row.params, row, row.paramDigit);
  const asMacs = params && agrees(own.macs / 1e9, row.gmacs, row, row.macDigit);
  const asPublished = params && agrees(own.inConvention / 1e9, row.gmacs, row, row.macDigit);
  rows += 1;
  plain += asMacs ? 1 : 0;
  converted += asPublished ? 1 : 0;
  const source = row.convention.split(/[ :]/)[0] ?? '';
  const family = families.get(source) ?? { rows: 0, plain: 0, converted: 0 };
  families.set(source, family);
  family.rows += 1;
  family.plain += asMacs ? 1 : 0;
  family.converted += asPublished ? 1 : 0;
  if (asPublished) continue;
  console.log(
    `${row.name} ${row.size}: params ${own.params} published ${row.params}, ` +
      `GMAC ${(own.macs / 1e9).toFixed(4)} (in its convention ${(own.inConvention / 1e9).toFixed(4)}) published ${row.gmacs}`,
  );
}
const share = (part: number, of: number) => `${part} (${((100 * part) / of).toFixed(1)} %)`;
console.log(
  `${rows} rows; agree within 1 %: ${share(plain, rows)} as MACs, ${share(converted, rows)} in the row's convention`,
);
for (const [name, each] of families)
  console.log(
    `  ${name}: ${each.rows} rows, ${share(each.plain, each.rows)}, ${share(each.converted, each.rows)}`,
  );
