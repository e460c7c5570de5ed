// Frame times of panning and zooming in Chromium, against frames in which nothing is drawn.
// Usage: npm run bench -- frames [layers, default 10000]
import type { Page } from 'playwright-core';
import { openStage } from '../webview/support/browser.ts';

const size = process.argv[2] ?? '10000';
const frames = 120;

interface Spread {
  readonly median: number;
  readonly p95: number;
}

/** Sends one wheel event per frame; answers the times between frames. */
function wheel(
  page: Page,
  event: { deltaX?: number; deltaY?: number; ctrlKey?: boolean } | null,
): Promise<Spread> {
  return page.evaluate(
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
}

const stage = await openStage();
try {
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
  const show = (title: string, { median, p95 }: Spread) =>
    console.log(
      `  ${title.padEnd(34)} median ${median.toFixed(1)}, 95 of 100 within ${p95.toFixed(1)}, ratio to idle ${(median / idle.median).toFixed(2)}`,
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
