import type { PassInfo, OptionValue, OptionValues, PassOption } from '../../src/engine/protocol.ts';
import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { digits, fileName, plural } from '../format.ts';
import { button, checkbox, dropdown } from '../ui/controls.ts';
import { textField } from '../ui/textField.ts';
import { applyPass } from './actions.ts';

interface Field {
  readonly element: HTMLElement;
  /** `undefined` when the text is no valid value. */
  read(): OptionValue | undefined;
}

/** A pass with a form made from its options. `layers` limits it to those. */
export function passForm(
  app: App,
  pass: PassInfo,
  options: { readonly layers?: readonly string[]; readonly open?: boolean },
): HTMLElement {
  const format = app.document.get()?.format;
  const refused = format !== undefined && !pass.dialects.includes(format);
  const summary = h('p', { class: 'muted', text: refused ? (pass.refusal ?? pass.summary) : pass.summary });
  if (refused) return passCard(pass, summary);
  const problem = h('p', { class: 'problem', attributes: { role: 'alert' } });
  problem.hidden = true;
  const fields = pass.options.map((option) => ({ option, field: fieldOf(option) }));
  const run = () => {
    const values: Record<string, OptionValue> = {};
    const wrong = fields.filter(({ option, field }) => {
      const value = field.read();
      if (value !== undefined) values[option.name] = value;
      return value === undefined;
    });
    problem.hidden = wrong.length === 0;
    problem.textContent = wrong.map(({ option }) => expectation(option)).join(' ');
    if (wrong.length === 0) start(app, pass, values, options.layers);
  };
  const many = options.layers?.length;
  const scope =
    many === undefined
      ? 'Apply to the model'
      : many === 1
        ? 'Apply to this layer'
        : `Apply to ${plural(many, 'layer')}`;
  const data = app.document.get()?.data;
  const note =
    pass.calibration === 'none' ? null : h('p', { class: 'muted', text: dataNote(pass.calibration, data) });
  return passCard(
    pass,
    summary,
    ...fields.map(({ option, field }) => fieldRow(option, field)),
    note,
    problem,
    button({ text: scope, icon: 'play', onClick: run }).element,
  );
}

function dataNote(calibration: 'optional' | 'required', data: string | null | undefined): string {
  if (data !== null && data !== undefined) return `Calibrated with ${fileName(data)}.`;
  return calibration === 'required'
    ? 'Needs sample data: you are asked for a dataset.'
    : 'Better with sample data: choose a dataset first.';
}

function start(app: App, pass: PassInfo, options: OptionValues, layers: readonly string[] | undefined): void {
  void applyPass(app, {
    pass: pass.id,
    options,
    title: pass.title,
    ...(layers === undefined ? {} : { layers }),
  });
}

function passCard(pass: PassInfo, ...content: readonly (Node | null)[]): HTMLElement {
  const exactness = h('span', { class: 'tag', text: pass.exact ? 'same outputs' : 'changes outputs' });
  return h(
    'details',
    { class: 'pass' },
    h('summary', {}, h('span', { text: pass.title }), exactness),
    h('div', { class: 'pass-body' }, ...content),
  );
}

function fieldRow(option: PassOption, field: Field): HTMLElement {
  if (option.type === 'boolean') return h('div', { class: 'field' }, field.element);
  const unit = option.unit === undefined ? '' : ` (${option.unit})`;
  return h(
    'div',
    { class: 'field' },
    h('span', { class: 'field-label', text: option.title + unit }),
    field.element,
  );
}

function expectation(option: PassOption): string {
  if (option.type !== 'number' && option.type !== 'integer') return '';
  const what = option.type === 'integer' ? 'a whole number' : 'a number';
  return `${option.title} must be ${what} from ${digits(option.min)} to ${digits(option.max)}.`;
}

function fieldOf(option: PassOption): Field {
  switch (option.type) {
    case 'boolean': {
      const box = checkbox({ text: option.title, value: option.default });
      return { element: box.element, read: box.get };
    }
    case 'choice': {
      const picker = dropdown({ label: option.title, onChange: () => undefined });
      picker.set(
        option.choices.map((value) => ({ value, text: value })),
        option.default,
      );
      return {
        element: picker.element,
        read: () => (option.choices.includes(picker.get()) ? picker.get() : option.default),
      };
    }
    case 'text': {
      const field = textField({
        label: option.title,
        value: option.default,
        placeholder: option.example,
        onInput: () => undefined,
      });
      return { element: field.element, read: () => field.get().trim() };
    }
    case 'number':
    case 'integer': {
      const field = textField({
        label: option.title,
        value: digits(option.default),
        onInput: () => undefined,
      });
      return { element: field.element, read: () => numberIn(option, field.get()) };
    }
  }
}

function numberIn(
  option: PassOption & { readonly min: number; readonly max: number },
  text: string,
): number | undefined {
  const value = Number(text.trim().replace(',', '.'));
  if (text.trim() === '' || Number.isNaN(value) || value < option.min || value > option.max) return undefined;
  return option.type === 'integer' && !Number.isInteger(value) ? undefined : value;
}
