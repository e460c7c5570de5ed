import type { Against } from '../../src/editor/page/protocol.ts';
import type { App } from '../app.ts';
import { comparisonOf } from './comparison.ts';

/** Shows another model, or a former state of this one, beside the graph. */
export async function openComparison(app: App, against: Against): Promise<void> {
  const answer = await app.run('Compare', 'other', { against });
  const model = app.document.get()?.model;
  if (answer === undefined || model === undefined) return;
  const comparison = comparisonOf(against, model, answer);
  app.viewState.set('against', against);
  app.changes.set(comparison.changes);
  app.comparison.set(comparison);
}

export function closeComparison(app: App): void {
  app.viewState.set('against', undefined);
  app.changes.set(undefined);
  app.comparison.set(undefined);
}

/** Asks for the other file first. */
export async function compareWithFile(app: App): Promise<void> {
  try {
    const against = await app.host.call('pickOther', {});
    if (against !== null) await openComparison(app, against);
  } catch (error) {
    if ((error as { reason?: string }).reason !== 'cancelled')
      app.say((error as Error).message, { error: true });
  }
}

/** A comparison belongs to a state of the document; another state asks again. */
export function keepComparisonFresh(app: App): void {
  app.document.onChange((state) => {
    const shown = app.comparison.get();
    const against = shown?.against ?? app.viewState.get('against');
    if (state === undefined || against === undefined || shown?.model === state.model) return;
    if (against.kind === 'steps' && against.count > state.steps.length) return closeComparison(app);
    void openComparison(app, against);
  });
}
