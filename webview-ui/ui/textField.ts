import { icon } from '../dom.ts';
import { make } from './element.ts';

interface TextField {
  readonly element: HTMLElement;
  get(): string;
  set(value: string): void;
  focus(): void;
  /** Attributes of the control that has the focus, inside the element; `null` takes one away. */
  describe(attributes: Readonly<Record<string, string | null>>): void;
  /**
   * The list that the control opens and the chosen option in it. Ids do not reach out of the control's shadow root, elements
   * do where the browser knows them (Chromium 135); elsewhere the caller has to say what is chosen.
   */
  refer(list: Element, option: Element | null): void;
}

export function textField(options: {
  readonly label: string;
  readonly placeholder?: string;
  readonly icon?: string;
  readonly value?: string;
  readonly onInput: (value: string) => void;
  readonly onKey?: (event: KeyboardEvent) => void;
}): TextField {
  const element = make('vscode-text-field', {
    attributes: {
      placeholder: options.placeholder ?? '',
      value: options.value ?? '',
    },
  });
  if (options.icon !== undefined) {
    const picture = icon(options.icon);
    picture.slot = 'start';
    element.append(picture);
  }
  // The toolkit speaks the element's text and overwrites an `aria-label`; a slot that is not there shows nothing.
  const spoken = document.createElement('span');
  spoken.slot = 'spoken';
  spoken.textContent = options.label;
  element.append(spoken);
  element.addEventListener('input', () => options.onInput(element.value));
  keepUndoInside(element);
  if (options.onKey !== undefined) element.addEventListener('keydown', options.onKey);
  return {
    element,
    get: () => element.value,
    set(value) {
      element.value = value;
    },
    focus: () => element.focus(),
    describe(attributes) {
      const control = element.shadowRoot?.querySelector('input');
      for (const [name, value] of Object.entries(attributes)) {
        if (value === null) control?.removeAttribute(name);
        else control?.setAttribute(name, value);
      }
    },
    refer(list, option) {
      const control: (HTMLInputElement & References) | null | undefined =
        element.shadowRoot?.querySelector('input');
      if (control == null || !('ariaActiveDescendantElement' in control)) return;
      control.ariaControlsElements = [list];
      control.ariaActiveDescendantElement = option;
    },
  };
}

/** Younger than the DOM library's types. */
interface References {
  ariaControlsElements?: readonly Element[] | null;
  ariaActiveDescendantElement?: Element | null;
}

/** Ctrl+Z in a text field would undo the model instead of the text (vscode#227849): undo here and stop the key. */
function keepUndoInside(field: HTMLElement): void {
  field.addEventListener('keydown', (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key !== 'z' && key !== 'y') return;
    event.stopPropagation();
    event.preventDefault();
    document.execCommand(key === 'y' || event.shiftKey ? 'redo' : 'undo');
  });
}
