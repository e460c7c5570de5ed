import * as vscode from 'vscode';
import type { SensitivityReport } from '../engine/protocol.ts';
import type { ModelDocument } from './document/document.ts';
import type { Services } from './services.ts';

/** What is known of single layers besides their cost: estimated time on the target, measured sensitivity. */
export interface LayerTimes extends vscode.Disposable {
  readonly onDidChange: vscode.Event<void>;
  /** A document's layers were measured, from the page or by a command. */
  readonly onDidMeasure: vscode.Event<ModelDocument>;
  /** Estimated milliseconds by layer on the target device; empty without one. */
  of(document: ModelDocument): Promise<ReadonlyMap<string, number>>;
  /** Signal to noise in dB when the layer alone was changed, from the last measurement of this model value. */
  sensitivity(document: ModelDocument, layer: string): number | undefined;
  /** The last measurement of this model value. */
  measured(document: ModelDocument): SensitivityReport | undefined;
  setSensitivity(document: ModelDocument, report: SensitivityReport): void;
}

export function createLayerTimes({ settings, log }: Services): LayerTimes {
  const changed = new vscode.EventEmitter<void>();
  const measured = new vscode.EventEmitter<ModelDocument>();
  const times = new WeakMap<ModelDocument, { key: string; times: Promise<ReadonlyMap<string, number>> }>();
  const sensitivities = new WeakMap<
    ModelDocument,
    { key: string; report: SensitivityReport; layers: ReadonlyMap<string, number> }
  >();
  const knownOf = (document: ModelDocument) => {
    const known = sensitivities.get(document);
    return known?.key === document.modelKey ? known : undefined;
  };
  return {
    onDidChange: changed.event,
    onDidMeasure: measured.event,
    of(document) {
      const device = settings.device(document.uri);
      const key = JSON.stringify([document.modelKey, device, settings.revision]);
      const known = times.get(document);
      if (known?.key === key) return known.times;
      const made = estimated(document, device).catch((error: unknown) => {
        log.debug(`times of layers: ${String(error)}`);
        return new Map<string, number>();
      });
      times.set(document, { key, times: made });
      return made;
    },
    sensitivity: (document, layer) => knownOf(document)?.layers.get(layer),
    measured: (document) => knownOf(document)?.report,
    setSensitivity(document, report) {
      const layers = new Map<string, number>();
      for (const { id, sqnrDb } of report.layers) if (sqnrDb !== null) layers.set(id, sqnrDb);
      sensitivities.set(document, { key: document.modelKey, report, layers });
      changed.fire();
      measured.fire(document);
    },
    dispose: () => vscode.Disposable.from(changed, measured).dispose(),
  };
}

async function estimated(
  document: ModelDocument,
  device: string | null,
): Promise<ReadonlyMap<string, number>> {
  if (device === null) return new Map();
  const { layers } = await document.ask('estimate', { device });
  return new Map(layers.flatMap(({ id, ms }) => (ms === null ? [] : [[id, ms] as const])));
}
