import type { FrameLocator, Locator, Page } from 'playwright-core';

/** Kerf's page inside the webview. */
export interface ModelEditor {
  readonly frame: FrameLocator;
  ready(): Promise<void>;
  find(selector: string): Locator;
}

export function modelEditor(page: Page): ModelEditor {
  // Hidden tabs keep their frames; the visible one is the editor in front.
  const frame = page
    .locator('iframe.webview.ready')
    .locator('visible=true')
    .last()
    .contentFrame()
    .locator('#active-frame')
    .contentFrame();
  return {
    frame,
    find: (selector) => frame.locator(selector),
    async ready() {
      await frame.locator('canvas').first().waitFor({ timeout: 60_000 });
    },
  };
}
