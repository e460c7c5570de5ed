/** Shortened texts by font, width and text; measuring is the dearest part of a frame. */
const cache = new Map<string, string>();
const cacheLimit = 20_000;

/** The text, or its beginning with an ellipsis, in the context's font. */
export function fitText(context: CanvasRenderingContext2D, text: string, width: number): string {
  const key = `${context.font}|${Math.round(width)}|${text}`;
  const known = cache.get(key);
  if (known !== undefined) return known;
  if (cache.size > cacheLimit) cache.clear();
  const fitted = shorten(context, text, width);
  cache.set(key, fitted);
  return fitted;
}

function shorten(context: CanvasRenderingContext2D, text: string, width: number): string {
  if (context.measureText(text).width <= width) return text;
  let low = 0;
  let high = text.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (context.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return low === 0 ? '' : `${text.slice(0, low)}…`;
}
