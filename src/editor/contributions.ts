/** Names that the manifest and the code share; a test fails when they disagree. No `vscode` import, so tests can read it. */

export const viewType = 'kerf.model';
export const textScheme = 'kerf-text';
export const textLanguage = 'kerf-model-text';
export const textExtension = '.kerftext';
export const reportScheme = 'kerf-report';
export const previewScheme = 'kerf-preview';
export const modelGlob = '**/*.{onnx,tflite}';

/** Every command of the manifest, in its order. */
export const commandIds = [
  'kerf.optimize',
  'kerf.applyPass',
  'kerf.fix',
  'kerf.fixAll',
  'kerf.benchmark',
  'kerf.compareWith',
  'kerf.compareWithOriginal',
  'kerf.importValues',
  'kerf.evaluate',
  'kerf.sensitivity',
  'kerf.mixed',
  'kerf.audit',
  'kerf.openText',
  'kerf.copyOnnxText',
  'kerf.selectDevice',
  'kerf.setBudget',
  'kerf.selectDataset',
  'kerf.undo',
  'kerf.redo',
  'kerf.exportRecipe',
  'kerf.applyRecipe',
  'kerf.convert',
  'kerf.checkWorkspace',
  'kerf.showRule',
  'kerf.openSample',
  'kerf.showLog',
  'kerf.clearRuns',
  'kerf.applyFix',
  'kerf.revealLayer',
  'kerf.useDevice',
  'kerf.showRun',
  'kerf.previewFix',
  'kerf.fixAllOfRule',
  'kerf.suppress',
  'kerf.excludeLayer',
  'kerf.afterFix',
] as const;

export type CommandId = (typeof commandIds)[number];

/** Called from links and views with arguments; of no use in the palette. */
export const internalCommands: readonly CommandId[] = [
  'kerf.applyFix',
  'kerf.revealLayer',
  'kerf.useDevice',
  'kerf.showRun',
  'kerf.previewFix',
  'kerf.fixAllOfRule',
  'kerf.suppress',
  'kerf.excludeLayer',
  'kerf.afterFix',
];

export const viewIds = {
  layers: 'kerf.layers',
  passes: 'kerf.passes',
  devices: 'kerf.devices',
  runs: 'kerf.runs',
} as const;

/** What the lenses "Quantize" and "Prune" run; they are left out where there is no such pass. */
export const lensPasses = { quantize: 'quantize-static', prune: 'prune-channels' } as const;

export const settingKeys = [
  'kerf.device',
  'kerf.budget.fileBytes',
  'kerf.budget.flashBytes',
  'kerf.budget.ramBytes',
  'kerf.budget.macs',
  'kerf.budget.latencyMs',
  'kerf.budget.accuracyDrop',
  'kerf.rules.severity',
  'kerf.fixes.benchmark',
  'kerf.text.hints.shapes',
  'kerf.text.hints.bytes',
  'kerf.text.hints.macs',
  'kerf.text.hints.time',
  'kerf.text.hints.sensitivity',
  'kerf.benchmark.runs',
  'kerf.benchmark.warmup',
  'kerf.benchmark.threads',
  'kerf.benchmark.provider',
  'kerf.optimize.maxDrop',
] as const;

export const toolNames = {
  inspect: 'kerf_inspect_model',
  check: 'kerf_check_model',
  apply: 'kerf_apply_pass',
  benchmark: 'kerf_benchmark_model',
  compare: 'kerf_compare_models',
  optimize: 'kerf_optimize_model',
} as const;
