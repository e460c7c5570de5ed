import { make } from './element.ts';
import {
  provideVSCodeDesignSystem,
  vsCodeBadge,
  vsCodeButton,
  vsCodeCheckbox,
  vsCodeDropdown,
  vsCodeOption,
  vsCodePanelTab,
  vsCodePanelView,
  vsCodePanels,
  vsCodeProgressRing,
  vsCodeTextField,
} from '@vscode/webview-ui-toolkit';
import { applyOptions, icon } from '../dom.ts';

/**
 * The toolkit, wrapped: nothing outside this folder knows it. It is archived upstream, so this folder is what a
 * replacement would rewrite.
 */
export function registerControls(): void {
  provideVSCodeDesignSystem().register(
    vsCodeBadge(),
    vsCodeButton(),
    vsCodeCheckbox(),
    vsCodeDropdown(),
    vsCodeOption(),
    vsCodePanels(),
    vsCodePanelTab(),
    vsCodePanelView(),
    vsCodeProgressRing(),
    vsCodeTextField(),
  );
}

export interface Button {
  readonly element: HTMLElement;
  enable(enabled: boolean): void;
  setText(text: string): void;
}

export function button(options: {
  readonly text?: string;
  /** Goes on after `text` where there is room. */
  readonly more?: string;
  /** Codicon before the text, or alone. */
  readonly icon?: string;
  /** Spoken name when there is no text, or not all of it in sight. */
  readonly label?: string;
  readonly title?: string;
  readonly look?: 'primary' | 'secondary' | 'icon';
  readonly onClick: () => void;
}): Button {
  const words = document.createTextNode(options.text ?? '');
  const look = options.look ?? 'secondary';
  const element = make('vscode-button', {
    attributes: { appearance: look, ...(options.label === undefined ? {} : { 'aria-label': options.label }) },
    ...(options.title === undefined && options.label === undefined
      ? {}
      : { title: options.title ?? options.label! }),
    on: { click: () => options.onClick() },
  });
  if (options.icon !== undefined) {
    const picture = icon(options.icon);
    if (look !== 'icon') picture.slot = 'start';
    element.append(picture);
  }
  if (options.text !== undefined) element.append(words);
  if (options.more !== undefined) {
    const more = document.createElement('span');
    more.className = 'roomy';
    more.textContent = options.more;
    element.append(more);
  }
  return {
    element,
    enable(enabled) {
      element.disabled = !enabled;
    },
    setText(text) {
      words.data = text;
    },
  };
}

interface Choice {
  readonly value: string;
  readonly text: string;
}

interface Dropdown {
  readonly element: HTMLElement;
  get(): string;
  /** Replaces the choices and the chosen value without calling `onChange`. */
  set(choices: readonly Choice[], value: string): void;
}

export function dropdown(options: {
  readonly label: string;
  readonly onChange: (value: string) => void;
}): Dropdown {
  const element = make('vscode-dropdown', {
    title: options.label,
    attributes: { 'aria-label': options.label },
  });
  nameList(element, options.label);
  let shown = '';
  let wanted = '';
  const take = () => {
    if (element.value !== wanted) element.value = wanted;
  };
  // The toolkit takes the options when their slot hears of them and keeps the place of the former choice; a value set
  // before is lost. This listener comes after the toolkit's own.
  element.shadowRoot?.addEventListener('slotchange', take);
  element.addEventListener('change', () => {
    if (element.value === '') return;
    wanted = element.value;
    options.onChange(element.value);
  });
  return {
    element,
    get: () => element.value,
    set(choices, value) {
      const key = JSON.stringify(choices);
      if (key !== shown) {
        shown = key;
        element.replaceChildren(
          ...choices.map((choice) =>
            make('vscode-option', { text: choice.text, attributes: { value: choice.value } }),
          ),
        );
      }
      wanted = value;
      take();
    },
  };
}

let lists = 0;

/**
 * The toolkit's list has no name, and the combobox refers to it across the border of its shadow tree, which leads
 * nowhere: it refers to itself instead, as the list is inside.
 */
function nameList(element: HTMLElement, label: string): void {
  element.id = `dropdown-${lists++}`;
  Object.defineProperty(element, 'ariaControls', {
    get: () => element.id,
    // The toolkit writes the list's id when the list opens.
    set() {},
  });
  queueMicrotask(() =>
    element.shadowRoot?.querySelector('[role=listbox]')?.setAttribute('aria-label', label),
  );
}

/**
 * A list of the platform, with the same face as `dropdown`: the toolkit's list is cut off where its surroundings end,
 * which in the lower panel is at once.
 */
export function select(options: {
  readonly label: string;
  readonly onChange: (value: string) => void;
}): Dropdown {
  const element = document.createElement('select');
  applyOptions(element, {
    class: 'select',
    title: options.label,
    attributes: { 'aria-label': options.label },
    on: { change: () => options.onChange(element.value) },
  });
  let shown = '';
  return {
    element,
    get: () => element.value,
    set(choices, value) {
      const key = JSON.stringify(choices);
      if (key !== shown) {
        shown = key;
        element.replaceChildren(...choices.map((choice) => new Option(choice.text, choice.value)));
      }
      element.value = value;
    },
  };
}

/** The toolkit draws ticks and rings with a picture that screen readers would stop at. */
function hidePicture(element: HTMLElement): void {
  queueMicrotask(() => element.shadowRoot?.querySelector('svg')?.setAttribute('aria-hidden', 'true'));
}

interface Checkbox {
  readonly element: HTMLElement;
  get(): boolean;
}

export function checkbox(options: {
  readonly text: string;
  readonly value: boolean;
  readonly onChange?: (value: boolean) => void;
}): Checkbox {
  const element = make('vscode-checkbox', { text: options.text });
  element.checked = options.value;
  hidePicture(element);
  element.addEventListener('change', () => options.onChange?.(element.checked));
  return { element, get: () => element.checked };
}

interface Tabs {
  readonly element: HTMLElement;
  show(id: string): void;
}

/** Tabs with their views; `onShow` is called when a person changes the tab. */
export function tabs(
  entries: readonly { readonly id: string; readonly title: string; readonly view: HTMLElement }[],
  onShow: (id: string) => void,
): Tabs {
  const element = make('vscode-panels', { attributes: { 'aria-label': 'Panels' } });
  for (const { id, title } of entries) {
    element.append(make('vscode-panel-tab', { text: title, attributes: { id: `tab-${id}` } }));
  }
  for (const { id, view } of entries) {
    element.append(make('vscode-panel-view', { attributes: { id: `view-${id}` } }, view));
  }
  const activeOf = () => (element.activeid ?? '').replace(/^tab-/, '');
  element.addEventListener('change', (event) => {
    // Dropdowns inside a view send the same event.
    if (event.target === element || (event.target as HTMLElement).tagName === 'VSCODE-PANEL-TAB')
      onShow(activeOf());
  });
  return {
    element,
    show(id) {
      if (activeOf() !== id) element.activeid = `tab-${id}`;
    },
  };
}

export function progressRing(): HTMLElement {
  const element = make('vscode-progress-ring', { attributes: { 'aria-label': 'Working' } });
  hidePicture(element);
  return element;
}
