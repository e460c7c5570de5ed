/** Shortened texts by font, width and text; measuring is the dearest part of a frame. */
const cache = new Map<string, string>();
const cacheLimit = 20_000;

/** The text, or its beginning with an ellipsis, in the context's font. */
export function fitText(context: CanvasRenderingContext2D, text: string, width: number): string {
  return fitted(context, text, width, (length) => (length === 0 ? '' : `${text.slice(0, length)}…`));
}

/** A name of scopes, or its end: layers of one scope differ there. Other words lose their end. */
export function fitName(context: CanvasRenderingContext2D, name: string, width: number): string {
  if (!name.includes('/')) return fitText(context, name, width);
  return fitted(context, name, width, (length) => endOf(name, length));
}

/** The last `length` characters at most, from the beginning of a scope where one is among them. */
export function endOf(name: string, length: number): string {
  if (length === 0) return '';
  const end = name.slice(-length);
  const scope = end.indexOf('/');
  return scope < 0 || scope === end.length - 1 ? `…${end}` : `…${end.slice(scope)}`;
}

function fitted(
  context: CanvasRenderingContext2D,
  text: string,
  width: number,
  cut: (length: number) => string,
): string {
  const key = `${context.font}|${Math.round(width)}|${cut(1)}|${text}`;
  const known = cache.get(key);
  if (known !== undefined) return known;
  if (cache.size > cacheLimit) cache.clear();
  const words = shorten(context, text, width, cut);
  cache.set(key, words);
  return words;
}

function shorten(
  context: CanvasRenderingContext2D,
  text: string,
  width: number,
  cut: (length: number) => string,
): string {
  if (context.measureText(text).width <= width) return text;
  let low = 0;
  let high = text.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (context.measureText(cut(middle)).width <= width) low = middle;
    else high = middle - 1;
  }
  return cut(low);
}
