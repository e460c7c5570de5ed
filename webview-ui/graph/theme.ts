import type { Change } from '../compare/comparison.ts';

/** Colours of the canvas, all taken from VS Code's tokens. */
export interface Theme {
  readonly background: string;
  readonly foreground: string;
  readonly muted: string;
  readonly card: string;
  readonly border: string;
  readonly edge: string;
  readonly focus: string;
  readonly match: string;
  readonly currentMatch: string;
  readonly severity: readonly [
    none: string,
    hint: string,
    information: string,
    warning: string,
    error: string,
  ];
  /** Colours of differences between two models. */
  readonly change: Readonly<Record<Change, string>>;
  /** Colour of each operator family. */
  readonly family: Readonly<Record<string, string>>;
  /** 17 steps from "little" to "much", readable under text; and the same at full strength. */
  readonly ramp: readonly string[];
  readonly strongRamp: readonly string[];
  /** The other way from zero. */
  readonly coldRamp: readonly string[];
  /** Colours of kinds: precisions. */
  readonly kinds: readonly string[];
  readonly font: string;
  readonly highContrast: boolean;
}

type Rgb = readonly [number, number, number];

const rampSteps = 17;

/** Reads the tokens as they are now; call again when the theme changes. */
export function readTheme(): Theme {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string, ...others: readonly string[]): string => {
    for (const candidate of [name, ...others]) {
      const value = style.getPropertyValue(`--vscode-${candidate}`).trim();
      if (value !== '') return value;
    }
    return style.color;
  };
  const highContrast =
    document.body.classList.contains('vscode-high-contrast') ||
    document.body.classList.contains('vscode-high-contrast-light');
  const background = token('editor-background');
  const foreground = token('editor-foreground', 'foreground');
  const muted = highContrast ? foreground : token('descriptionForeground', 'foreground');
  const chart = (colour: string) => token(`charts-${colour}`, 'foreground');
  const hot = chart('orange');
  const plain = mix(rgbOf(background), rgbOf(foreground), 0.5);
  const mixed = (a: string, b: string, share: number) => mix(rgbOf(a), rgbOf(b), share);
  return {
    background,
    foreground,
    muted,
    card: highContrast ? background : token('editorWidget-background', 'editor-background'),
    border: token('contrastBorder', 'editorWidget-border', 'panel-border', 'widget-border', 'foreground'),
    edge: highContrast ? foreground : mixed(background, foreground, 0.45),
    focus: token('focusBorder', 'foreground'),
    match: chart('yellow'),
    currentMatch: chart('orange'),
    severity: [
      muted,
      token('editorHint-foreground', 'foreground'),
      token('editorInfo-foreground', 'charts-blue'),
      token('editorWarning-foreground', 'charts-yellow'),
      token('editorError-foreground', 'charts-red'),
    ],
    change: {
      added: token('gitDecoration-addedResourceForeground', 'charts-green'),
      changed: token('gitDecoration-modifiedResourceForeground', 'charts-yellow'),
      removed: token('gitDecoration-deletedResourceForeground', 'charts-red'),
    },
    family: {
      convolution: chart('blue'),
      matmul: chart('purple'),
      recurrent: chart('purple'),
      attention: chart('purple'),
      normalization: chart('green'),
      pooling: chart('green'),
      reduction: chart('green'),
      activation: chart('yellow'),
      elementwise: chart('orange'),
      control: chart('orange'),
      quantization: chart('red'),
      movement: plain,
      shape: plain,
      constant: plain,
      other: plain,
    },
    ramp: Array.from({ length: rampSteps }, (_, i) =>
      mixed(background, hot, 0.04 + 0.42 * (i / (rampSteps - 1))),
    ),
    strongRamp: Array.from({ length: rampSteps }, (_, i) =>
      mixed(background, hot, 0.12 + 0.88 * (i / (rampSteps - 1))),
    ),
    coldRamp: Array.from({ length: rampSteps }, (_, i) =>
      mixed(background, chart('blue'), 0.12 + 0.88 * (i / (rampSteps - 1))),
    ),
    kinds: ['blue', 'green', 'orange', 'purple', 'yellow', 'red'].map(chart),
    font: style.getPropertyValue('--vscode-font-family').trim() || 'sans-serif',
    highContrast,
  };
}

/** Calls back when VS Code switches the theme: it rewrites the root's style and the body's class. */
export function onThemeChange(listener: () => void): void {
  const observer = new MutationObserver(listener);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ['style', 'class'] });
  observer.observe(document.body, { attributes: true, attributeFilter: ['class'] });
}

let probe: CanvasRenderingContext2D | null = null;

/** Any CSS colour as red, green, blue; the canvas is the parser. */
function rgbOf(colour: string): Rgb {
  probe ??= new OffscreenCanvas(1, 1).getContext('2d', {
    willReadFrequently: true,
  }) as CanvasRenderingContext2D | null;
  if (probe === null) return [128, 128, 128];
  probe.clearRect(0, 0, 1, 1);
  probe.fillStyle = colour;
  probe.fillRect(0, 0, 1, 1);
  const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
  return [r!, g!, b!];
}

function mix(a: Rgb, b: Rgb, share: number): string {
  const at = (i: 0 | 1 | 2) => Math.round(a[i] + (b[i] - a[i]) * share);
  return `rgb(${at(0)}, ${at(1)}, ${at(2)})`;
}
