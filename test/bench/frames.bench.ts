// Frame times of panning and zooming in Chromium, against frames in which nothing is drawn.
// Usage: npm run bench -- frames [layers, default 10000]
import type { CDPSession, Page } from 'playwright-core';
import { openStage } from '../webview/support/browser.ts';

const size = process.argv[2] ?? '10000';
const frames = 120;

interface Spread {
  readonly median: number;
  readonly p95: number;
  /** Processor time of the page's thread per frame: what a busy machine does not change. */
  readonly cpu: number;
}

/** The clock counts from when it is asked for first. */
const sessions = new WeakMap<Page, CDPSession>();

/** Milliseconds of processor time that the page's thread has spent on tasks. */
async function taskMs(page: Page): Promise<number> {
  let session = sessions.get(page);
  if (session === undefined) {
    session = await page.context().newCDPSession(page);
    sessions.set(page, session);
    await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  }
  const { metrics } = await session.send('Performance.getMetrics');
  return 1000 * (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN);
}

/** Sends one wheel event per frame; answers the times between frames. */
async function wheel(
  page: Page,
  event: { deltaX?: number; deltaY?: number; ctrlKey?: boolean } | null,
): Promise<Spread> {
  const before = await taskMs(page);
  const spread = await page.evaluate(
    async ({ event, frames }) => {
      const canvas = document.querySelector<HTMLCanvasElement>('.graph-canvas')!;
      const times: number[] = [];
      let last = 0;
      let way = 1;
      await new Promise<void>((done) => {
        const step = (now: number) => {
          if (last > 0) times.push(now - last);
          last = now;
          if (times.length === frames) return done();
          if (times.length % 40 === 39) way = -way;
          if (event !== null) {
            const { left, top } = canvas.getBoundingClientRect();
            canvas.dispatchEvent(
              new WheelEvent('wheel', {
                ...event,
                deltaY: (event.deltaY ?? 0) * way,
                clientX: left + 400,
                clientY: top + 200,
                cancelable: true,
              }),
            );
          }
          requestAnimationFrame(step);
        };
        requestAnimationFrame(step);
      });
      times.sort((a, b) => a - b);
      return { median: times[times.length >> 1]!, p95: times[Math.floor(times.length * 0.95)]! };
    },
    { event, frames },
  );
  return { ...spread, cpu: ((await taskMs(page)) - before) / frames };
}

/** From the answer of the host to the first picture of the folded graph, and what an empty frame takes meanwhile. */
async function firstPaint(
  open: () => Promise<Page>,
): Promise<{ paint: number; cpu: number; script: number }> {
  const page = await open();
  const before = await taskMs(page);
  const result = await page.evaluate(async () => {
    const painted = new Promise<void>((done) => {
      const pane = document.querySelector('.graph-pane')!;
      new MutationObserver(() => requestAnimationFrame(() => requestAnimationFrame(() => done()))).observe(
        pane,
        {
          attributes: true,
          attributeFilter: ['data-boxes'],
        },
      );
    });
    const begin = performance.now();
    window.fakeHost.release();
    await painted;
    const paint = performance.now() - begin;
    return { paint };
  });
  const cpu = (await taskMs(page)) - before;
  const fake = await taskMs(page);
  await page.evaluate(() => {
    // The made-up host makes its columns anew for each answer, in the page's own thread.
    window.fakeHost.buildGraph();
  });
  const script = (await taskMs(page)) - fake;
  await page.close();
  return { ...result, cpu, script };
}

const stage = await openStage();
try {
  const folded = await firstPaint(() =>
    stage.open({ model: 'large', size, hold: 'graph' }, undefined, false),
  );
  console.log(
    `first picture of ${size} layers, folded: ${folded.paint.toFixed(0)} ms after the host was free to answer; ${folded.cpu.toFixed(0)} ms of processor time, of which ${folded.script.toFixed(0)} ms are the made-up host's own`,
  );
  const page = await stage.open({ model: 'large', size });
  const dropdown = page.locator('vscode-dropdown[aria-label="Fold level"]');
  await dropdown.click();
  await dropdown.locator('vscode-option', { hasText: 'All' }).first().click();
  await page.waitForFunction(
    (n) => Number(document.querySelector('.graph-pane')?.getAttribute('data-boxes')) > 0.9 * n,
    Number(size),
    { timeout: 60_000 },
  );
  const boxes = await page.locator('.graph-pane').getAttribute('data-boxes');
  console.log(`${boxes} boxes unfolded; milliseconds between frames, software rendering`);
  const idle = await wheel(page, null);
  const show = (title: string, { median, p95, cpu }: Spread) =>
    console.log(
      `  ${title.padEnd(34)} median ${median.toFixed(1)}, 95 of 100 within ${p95.toFixed(1)}, ratio to idle ${(median / idle.median).toFixed(2)}, ${cpu.toFixed(1)} ms of processor time`,
    );
  show('nothing drawn', idle);
  show('pan over cards', await wheel(page, { deltaY: 120 }));
  show('zoom around cards', await wheel(page, { deltaY: 6, ctrlKey: true }));
  await page.locator('.graph-canvas').focus();
  await page.keyboard.press('9');
  show('pan with every box on screen', await wheel(page, { deltaY: 3 }));
  show('zoom with every box on screen', await wheel(page, { deltaY: 6, ctrlKey: true }));
} finally {
  await stage.close();
}
